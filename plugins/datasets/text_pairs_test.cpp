#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace text_pairs_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::unique_ptr<DataSource> open_pairs(const std::vector<std::string>& files, Table more = {}) {
  more["type"] = "text_pairs", more["files"] = List(files.begin(), files.end());
  return testing::registry().make<DataSource>(more);
}

std::vector<Document> all_of(const DataSource& source) {
  std::vector<Document> documents;
  source.for_each([&](const Document& document) { documents.push_back(document); });
  return documents;
}

std::vector<std::string> write(const testing::Scratch& scratch, const std::string& first, const std::string& second) {
  write_file(scratch / "de.txt", first);
  write_file(scratch / "en.txt", second);
  return {(scratch / "de.txt").string(), (scratch / "en.txt").string()};
}

std::string refusal(const std::vector<std::string>& files, Table more = {}) {
  try {
    all_of(*open_pairs(files, std::move(more)));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::vector<std::string> shipped(const std::string& first, const std::string& second) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../../datasets/udhr";
  return {(folder / (first + ".txt.zst")).string(), (folder / (second + ".txt.zst")).string()};
}

/// Leading parts that two keys share, counted on the text instead of on lists of parts.
double shared_parts(const std::string& a, const std::string& b) {
  if (a == b) return 1;
  const auto slash = a.find('/');
  return slash != std::string::npos && b.find('/') == slash && a.substr(0, slash) == b.substr(0, slash) ? 0.5 : 0;
}

TEST_CASE("text_pairs: two documents of one key follow each other and share group and split") {
  const testing::Scratch scratch;
  const auto files = write(scratch, "b\tzwei\na\teins\nc\tdrei\n", "a\tone\nd\tfour\nb\ttwo\n");
  const auto documents = all_of(*open_pairs(files, {{"held_out", 0}, {"source", "law"}}));
  REQUIRE(documents.size() == 4);  // c and d have no partner
  CHECK(documents[0].id == "de/b");
  CHECK(documents[1].id == "en/b");
  CHECK(documents[0].text == "zwei");
  CHECK(documents[1].text == "two");
  CHECK(documents[2].text == "eins");
  CHECK(documents[3].text == "one");
  CHECK(documents[0].language == "de");
  CHECK(documents[1].language == "en");
  for (std::size_t i = 0; i < 4; i += 2) CHECK(documents[i].group == documents[i + 1].group);
  CHECK(documents[0].group != documents[2].group);
  for (const auto& document : documents) {
    CHECK(document.split == "train");
    CHECK(document.fields.at("score") == "1");
    CHECK(document.source == "law");
  }
  const auto named = all_of(*open_pairs(files, {{"languages", List{"gsw", "sco"}}}));
  CHECK(named[0].language == "gsw");
  CHECK(named[1].language == "sco");
}

TEST_CASE("text_pairs: the grades are of the texts, and a text is in one split only") {
  const auto documents = all_of(*open_pairs(shipped("de", "en")));
  std::map<std::string, std::string> german, english;
  for (const auto& [language, texts] : {std::pair("de", &german), std::pair("en", &english)})
    for (const auto& document : documents)
      if (document.language == language && document.fields.at("score") == "1")
        texts->emplace(document.fields.at("key"), document.text);
  CHECK(german.size() == 51);
  CHECK(english.size() == 51);
  std::map<std::string, std::set<std::string>> splits;  // of a text
  std::map<std::string, int> grades, in_test;
  REQUIRE(documents.size() % 2 == 0);
  for (std::size_t i = 0; i < documents.size(); i += 2) {
    const auto &a = documents[i], &b = documents[i + 1];
    INFO(a.id << " " << b.id);
    CHECK(a.language == "de");
    CHECK(b.language == "en");
    CHECK(a.group == b.group);
    CHECK(a.fields.at("score") == b.fields.at("score"));
    CHECK(std::stod(a.fields.at("score")) == shared_parts(a.fields.at("key"), b.fields.at("key")));
    CHECK(a.text == german.at(a.fields.at("key")));
    CHECK(b.text == english.at(b.fields.at("key")));
    splits[a.text].insert(a.split), splits[b.text].insert(b.split);
    ++grades[a.fields.at("score")];
    if (a.split == "test") ++in_test[a.fields.at("score")];
    if (a.split == "train") CHECK(a.fields.at("score") == "1");
  }
  for (const auto& [text, of_text] : splits) CHECK(of_text.size() == 1);
  CHECK(grades["1"] == 51);
  CHECK(in_test["1"] >= 20);
  CHECK(grades["1"] - in_test["1"] >= 20);
  CHECK(in_test["0"] == in_test["1"]);  // each has a stranger
  CHECK(in_test["0.5"] >= 5);           // some have a neighbour in their article
  for (const auto& document : all_of(*open_pairs(shipped("de", "en"), {{"graded", false}})))
    CHECK(document.fields.at("score") == "1");
}

TEST_CASE("text_pairs hold out what aligned_text holds out") {
  const auto files = shipped("en", "fr");
  const auto aligned = testing::registry().make<DataSource>(
      {{"type", "aligned_text"}, {"files", List(files.begin(), files.end())}, {"held_out", 0.3}});
  std::map<std::string, std::string> split;
  aligned->for_each([&](const Document& document) { split[document.group] = document.split; });
  for (const auto& document : all_of(*open_pairs(files, {{"held_out", 0.3}})))
    CHECK(document.split == split.at(document.fields.at("key")));
}

TEST_CASE("text_pairs keep the promises of a data source") {
  const testing::Scratch one, two;
  const auto settings = [](const std::vector<std::string>& files) {
    return Table{{"type", "text_pairs"}, {"files", List(files.begin(), files.end())}};
  };
  const auto files = write(one, "a/1\tx\na/2\ty\nb\tz\nc\tw\n", "a/1\tX\na/2\tY\nb\tZ\nc\tW\n");
  testing::check_data_source(testing::registry(), settings(files),
                             settings(write(two, "a/1\tx\nb\ty\n", "a/1\tX\nb\tother\n")));
  const auto plain = open_pairs(files)->fingerprint();
  for (const auto& more : {Table{{"graded", false}}, Table{{"held_out", 0.3}}, Table{{"languages", List{"x", "y"}}}})
    CHECK(open_pairs(files, more)->fingerprint() != plain);
}

TEST_CASE("text_pairs: a mistake is shown with its place") {
  const testing::Scratch scratch;
  const auto said = [&](const std::string& first, const std::string& second) {
    return refusal(write(scratch, first, second));
  };
  CHECK_THAT(said("a\tx\n", "a\ty\nb\n"), ContainsSubstring("en.txt:2: a line is `key<TAB>text`, found `b`"));
  CHECK_THAT(said("a\tx\na\ty\n", "a\tz\n"), ContainsSubstring("de.txt:2: the key `a` stands twice"));
  CHECK_THAT(said("a\tx\ty\n", "a\tz\n"), ContainsSubstring("de.txt:1: a second tab"));
  CHECK_THAT(said("a\tx\n", "b\ty\n"), ContainsSubstring("have no key in common"));
  const auto files = write(scratch, "a\tx\n", "a\ty\n");
  CHECK_THAT(refusal({files[0]}), ContainsSubstring("pairs are of two files, found 1"));
  CHECK_THAT(refusal({files[0], files[0]}), ContainsSubstring("both files are called `de`"));
  CHECK_THAT(refusal(files, {{"languages", List{"de"}}}),
             ContainsSubstring("one for each of the two files, found 1"));
}

}  // namespace text_pairs_test
