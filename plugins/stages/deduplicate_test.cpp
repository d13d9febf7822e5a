#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/text.h"

namespace deduplicate_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using Json = nlohmann::json;
using Ids = std::vector<std::string>;

struct Distinct {
  std::vector<Json> documents, decisions;
  StageRecord record;

  Ids ids() const {
    Ids out;
    for (const auto& one : documents) out.push_back(one.at("id"));
    return out;
  }
  double metric(const std::string& name) const { return record.finals.at(name).value; }
  const Json& decision(const std::string& id, const std::string& rule = "near_duplicates") const {
    for (const auto& one : decisions)
      if (one.at("id") == id && one.at("rule") == rule) return one;
    throw Error("no decision on " + id);
  }
};

/// Files by name, and what stands in [stage.unique].
Distinct distinct(const std::map<std::string, std::string>& files, const std::string& settings, int threads = 1) {
  RecipeRun project;
  std::string recipe = "recipe = 1\nname = \"distinct\"\nseeds = [3]\nthreads = " + std::to_string(threads) + "\n";
  for (const auto& [name, text] : files) {
    const auto stem = name.substr(0, name.find('.'));
    project.put(name, text);
    recipe += "[dataset." + stem + "]\nfiles = [\"" + name + "\"]\n";
    recipe += name.ends_with(".txt") ? "type = \"text\"\nsplit = { dev = 0, test = 0 }\n"
                                     : "type = \"labelled_text\"\nlabel = \"\"\nid = \"id\"\ngroup = \"group\"\n"
                                       "split_column = \"split\"\n";
  }
  project.run(recipe + "[stage.unique]\ntype = \"deduplicate\"\n" + settings);
  Distinct out;
  for (const auto& [file, to] :
       {std::pair("documents.jsonl", &out.documents), std::pair("decisions.jsonl", &out.decisions)})
    for (const auto& line : split(read_file(project.output("unique", "dataset") / file), '\n'))
      if (!line.empty()) to->push_back(Json::parse(line));
  out.record = project.record("unique");
  return out;
}

/// Words w<from> to w<from + 49>; some of them replaced.
std::string words(int from, const std::set<int>& other = {}) {
  std::string out;
  for (int i = 0; i < 50; ++i) {
    const bool changed = other.contains(i);
    out += changed ? "x" : "w";
    out += std::to_string(from + i) + " ";
  }
  return out;
}

// 50 words have 46 5-grams. A word in the middle stands in 5 of them: 41 in common of 51, and one at the end in 1: 45
// of 47.
TEST_CASE("deduplicate: nearly the same documents go, the first stays") {
  const auto text = words(0) + "\n\n" + words(500) + "\n\n" + words(0, {20}) + "\n\n" + words(500, {49}) + "\n";
  const auto loose = distinct({{"t.txt", text}}, "corpus = \"t\"\n");
  CHECK(loose.ids() == Ids{"t:1", "t:2"});
  CHECK_THAT(loose.decision("t:3").at("score"), WithinAbs(41 / 51.0, 1e-9));
  CHECK(loose.decision("t:3").at("kept") == false);
  CHECK(loose.decision("t:3").at("like") == "t:1");
  CHECK_THAT(loose.decision("t:4").at("score"), WithinAbs(45 / 47.0, 1e-9));
  CHECK(loose.decision("t:1").at("kept") == true);
  CHECK(loose.metric("documents") == 2);
  CHECK(loose.metric("kept") == 0.5);
  CHECK(loose.metric("kept.near_duplicates") == 0.5);
  CHECK(loose.metric("text_bytes") == static_cast<double>(words(0).size() + words(500).size()));
  const auto strict = distinct({{"t.txt", text}}, "corpus = \"t\"\nsimilarity = 0.81\n");
  CHECK(strict.ids() == Ids{"t:1", "t:2", "t:3"});
  CHECK(!strict.decision("t:3").contains("like"));
}

TEST_CASE("deduplicate: case, signs and line breaks make no other document; what has no words goes by its bytes") {
  const auto found = distinct({{"t.txt", "One two, three!\n\none\ntwo three\n\n--\n\n==\n\n--\n\none two four\n"}},
                              "corpus = \"t\"\n");
  CHECK(found.ids() == Ids{"t:1", "t:3", "t:4", "t:6"});
}

TEST_CASE("deduplicate: a cluster is what similar documents connect") {
  // 1 and 2 are too far apart (36 of 56), but 3 is like both.
  const auto text = words(0, {10}) + "\n\n" + words(0, {30}) + "\n\n" + words(0) + "\n";
  const auto found = distinct({{"t.txt", text}}, "corpus = \"t\"\n");
  CHECK(found.ids() == Ids{"t:1"});
  CHECK(found.decision("t:2").at("like") == "t:3");
}

TEST_CASE("deduplicate agrees with comparing all pairs") {
  RandomStream stream(11);
  std::vector<std::vector<std::string>> texts;
  for (int i = 0; i < 60; ++i) {
    std::vector<std::string> one;
    if (i >= 20) one = texts[static_cast<std::size_t>(stream.below(20))];
    if (i < 20)
      for (int w = 0; w < 30; ++w) one.push_back("v" + std::to_string(stream.below(40)));
    for (auto changes = i < 20 ? 0 : stream.below(4); changes > 0; --changes)
      one[static_cast<std::size_t>(stream.below(30))] = "u" + std::to_string(i);
    texts.push_back(one);
  }
  std::string file;
  std::vector<std::set<std::string>> grams;
  for (const auto& one : texts) {
    file += join(one, " ") + "\n\n";
    auto& set = grams.emplace_back();
    for (std::size_t w = 0; w + 3 <= one.size(); ++w) set.insert(one[w] + " " + one[w + 1] + " " + one[w + 2]);
  }
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < texts.size(); ++i) first.push_back(i);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < texts.size(); ++i)
      for (std::size_t j = 0; j < texts.size(); ++j) {
        double both = 0;
        for (const auto& gram : grams[i]) both += static_cast<double>(grams[j].count(gram));
        const double all = static_cast<double>(grams[i].size() + grams[j].size()) - both;
        if (both / all >= 0.6 && first[j] < first[i]) first[i] = first[j], changed = true;
      }
  }
  Ids expected;
  for (std::size_t i = 0; i < texts.size(); ++i)
    if (first[i] == i) expected.push_back("t:" + std::to_string(i + 1));
  REQUIRE(expected.size() > 20);
  REQUIRE(expected.size() < 55);
  const std::string settings = "corpus = \"t\"\nngram = 3\nsimilarity = 0.6\nbands = 60\nrows = 3\n";
  const auto found = distinct({{"t.txt", file}}, settings), threads = distinct({{"t.txt", file}}, settings, 4);
  CHECK(found.ids() == expected);
  CHECK(found.documents == threads.documents);
  CHECK(found.decisions == threads.decisions);
}

TEST_CASE("deduplicate: pairs are found as often as their bands say") {
  // 41 of 51 in common; one band of 3 hashes finds s^3 of the pairs.
  std::string file;
  constexpr int kPairs = 400;
  for (int i = 0; i < kPairs; ++i) file += words(i * 100) + "\n\n" + words(i * 100, {20}) + "\n\n";
  const auto found = distinct({{"t.txt", file}}, "corpus = \"t\"\nbands = 1\nrows = 3\n");
  const double share = 2 - static_cast<double>(found.ids().size()) / kPairs, s = std::pow(41 / 51.0, 3);
  CHECK(std::abs(share - s) < 3 * std::sqrt(s * (1 - s) / kPairs));
}

TEST_CASE("deduplicate: a group is decided on as one, or not") {
  const std::string table = "id\ttext\tgroup\tsplit\na\t" + words(0) + "\tg\ttrain\nb\t" + words(0) +
                            "\tg\ttest\nc\t" + words(0) + "\th\ttrain\nd\t" + words(500) + "\th\ttrain\n";
  const auto together = distinct({{"t.tsv", table}}, "corpus = \"t:train\"\n");
  CHECK(together.ids() == Ids{"t:a", "t:c", "t:d"});  // h says w0... and w500..., g half of it
  const std::string two =
      "id\ttext\tgroup\tsplit\na\tone two\tg\ttrain\nb\tone two\tg\ttrain\nc\tONE two\th\ttrain\nd\tone "
      "two!\th\ttrain\n";
  const auto groups = distinct({{"t.tsv", two}}, "corpus = \"t:train\"\n");
  CHECK(groups.ids() == Ids{"t:a", "t:b"});
  CHECK(groups.decision("t:d").at("group") == "h");
  CHECK(groups.decision("t:d").at("like") == "t:a");
  CHECK(groups.documents.at(1).at("split") == "train");
  CHECK(distinct({{"t.tsv", two}}, "corpus = \"t:train\"\ngroups = \"apart\"\n").ids() == Ids{"t:a"});
}

TEST_CASE("deduplicate: what stands in text to measure on goes") {
  const auto found =
      distinct({{"t.txt", words(0) + "\n\n" + words(500) + "\n"}, {"held.txt", words(500, {49}) + "\n"}},
               "corpus = \"t\"\nagainst = \"held:train\"\n");
  CHECK(found.ids() == Ids{"t:1"});
  CHECK(found.decision("t:2").at("like") == "held:1");
  CHECK(found.decisions.size() == 2);
  CHECK(found.metric("kept") == 0.5);
  CHECK_THAT(said([] {
               distinct({{"t.txt", words(0)}, {"held.txt", words(0)}}, "corpus = \"t\"\nagainst = \"held:train\"\n");
             }),
             ContainsSubstring("nothing of `t` is left: `against` holds all of it"));
}

TEST_CASE("deduplicate: paragraphs that stood before are cut") {
  const std::string text =
      "alpha one two three four\nThe same footer in all of them.\nshort\n\n"
      "beta one two three four\nthe SAME footer, in all of them\nshort\nbeta: one, two, three, four\n\n"
      "the same footer in all of them\n";
  const auto found = distinct({{"t.txt", text}}, "corpus = \"t\"\nnear_duplicates = false\nparagraphs = true\n");
  REQUIRE(found.ids() == Ids{"t:1", "t:2"});
  CHECK(found.documents.at(0).at("text") == "alpha one two three four\nThe same footer in all of them.\nshort");
  CHECK(found.documents.at(1).at("text") == "beta one two three four\nshort");
  CHECK(found.documents.at(1).at("annotations").size() == 2);
  CHECK(found.decisions.size() == 8);
  CHECK(
      found.decisions.at(4) ==
      Json{
          {"id", "t:2"}, {"paragraph", 1}, {"rule", "paragraphs"}, {"score", 1.0}, {"kept", false}, {"like", "t:1"}});
  CHECK(found.metric("kept.paragraphs") == 5 / 8.0);
  CHECK_THAT(found.metric("kept"), WithinAbs(2 / 3.0, 1e-9));
  // A longer limit leaves the footer alone.
  const auto longer = distinct({{"t.txt", text}},
                               "corpus = \"t\"\nnear_duplicates = false\nparagraphs = true\nparagraph_words = 8\n");
  CHECK(longer.metric("kept.paragraphs") == 1);
}

TEST_CASE(
    "deduplicate: documents of a group may say the same paragraph, and go together where one has nothing left") {
  const std::string head = "id\ttext\tgroup\tsplit\n";
  const std::string same = "a\tone two three four five\tg\ttrain\nb\tone two three four five\tg\ttrain\n";
  const std::string settings = "corpus = \"t:train\"\nnear_duplicates = false\nparagraphs = true\n";
  CHECK(distinct({{"t.tsv", head + same}}, settings).ids() == Ids{"t:a", "t:b"});
  // d repeats a, so that c goes with it; e then says first what c said.
  const std::string more =
      "c\tsix seven eight nine ten\th\ttrain\nd\tone two three four five\th\ttrain\n"
      "e\tsix seven eight nine ten\te\ttrain\n";
  const auto found = distinct({{"t.tsv", head + same + more}}, settings);
  CHECK(found.ids() == Ids{"t:a", "t:b", "t:e"});
  CHECK(found.decision("t:c", "paragraphs").at("kept") == false);
}

TEST_CASE("deduplicate says what is wrong") {
  CHECK_THAT(said([] {
               distinct({{"t.txt", "a\n"}}, "corpus = \"t\"\nnear_duplicates = false\n");
             }),
             ContainsSubstring("neither `near_duplicates` nor `paragraphs` is asked for"));
  CHECK_THAT(said([] {
               distinct({{"t.txt", "a\n"}}, "corpus = \"t\"\nsimilarity = 0\n");
             }),
             ContainsSubstring("similarity"));
  CHECK_THAT(said([] {
               distinct({{"t.txt", "a\n"}}, "corpus = \"t\"\nagainst = \"t\"\n");
             }),
             ContainsSubstring("must name the split of `t`"));
}

}  // namespace deduplicate_test
