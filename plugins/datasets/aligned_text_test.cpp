#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/testing.h"

namespace aligned_text_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::unique_ptr<DataSource> open_aligned(const std::vector<std::string>& paths, Table more = {}) {
  more["type"] = "aligned_text", more["files"] = List(paths.begin(), paths.end());
  return testing::registry().make<DataSource>(more);
}

std::vector<Document> all_of(const DataSource& source) {
  std::vector<Document> documents;
  source.for_each([&](const Document& document) { documents.push_back(document); });
  return documents;
}

std::string refusal(const testing::Scratch& scratch, std::string_view content) {
  write_file(scratch / "xx.txt", content);
  try {
    all_of(*open_aligned({(scratch / "xx.txt").string()}));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("aligned_text: one document per key and language, keys held out everywhere or nowhere") {
  const testing::Scratch scratch;
  std::string english, german;
  for (int i = 0; i < 400; ++i) {
    english += "k" + std::to_string(i) + "\tText " + std::to_string(i) + "\n";
    if (i % 3) german += "k" + std::to_string(i) + "\tSatz " + std::to_string(i) + "\n";
  }
  write_file(scratch / "en.txt", english);
  write_file(scratch / "de.txt", german);
  const std::vector<std::string> files = {(scratch / "en.txt").string(), (scratch / "de.txt").string()};
  const auto documents = all_of(*open_aligned(files, {{"held_out", 0.25}}));
  REQUIRE(documents.size() == 400 + 266);
  CHECK(documents[7].id == "en/k7");
  CHECK(documents[7].text == "Text 7");
  CHECK(documents[7].group == "k7");
  CHECK(documents[7].script == "Latn");
  CHECK(documents[401].id == "de/k2");
  std::map<std::string, std::set<std::string>> splits;
  std::size_t test = 0;
  for (const auto& document : documents) {
    splits[document.group].insert(document.split);
    test += document.language == "en" && document.split == "test";
  }
  for (const auto& [key, of_key] : splits) CHECK(of_key.size() == 1);
  CHECK(test > 70);  // 100 expected, standard deviation 8.7
  CHECK(test < 130);
  for (const auto& document : all_of(*open_aligned(files, {{"held_out", 0}}))) CHECK(document.split == "train");
  for (const auto& document : all_of(*open_aligned(files, {{"held_out", 1}}))) CHECK(document.split == "test");
  CHECK(open_aligned(files)->fingerprint() != open_aligned(files, {{"held_out", 0.25}})->fingerprint());
}

TEST_CASE("aligned_text: a mistake is shown with file and line") {
  const testing::Scratch scratch;
  CHECK_THAT(refusal(scratch, "a\tx\nb\n"), ContainsSubstring("xx.txt:2: a line is `key<TAB>text`, found `b`"));
  CHECK_THAT(refusal(scratch, "a\tx\n\tb\n"), ContainsSubstring("xx.txt:2: a line is"));
  CHECK_THAT(refusal(scratch, "a\t \n"), ContainsSubstring("xx.txt:1: a line is"));
  CHECK_THAT(refusal(scratch, "a\tx\ty\n"), ContainsSubstring("xx.txt:1: a second tab"));
  CHECK_THAT(refusal(scratch, "a\tx\na\ty\n"), ContainsSubstring("xx.txt:2: the key `a` stands twice"));
  CHECK_THAT(refusal(scratch, "a\tx\xC3\n"), ContainsSubstring("xx.txt:1: invalid UTF-8"));
  write_file(scratch / "en.txt", "a\tx\n");
  write_file(scratch / "en.txt.gz", "");
  CHECK_THROWS_AS(open_aligned({(scratch / "en.txt").string(), (scratch / "en.txt.gz").string()}), Error);
}

TEST_CASE("aligned_text: the declaration of human rights that ships leaves enough keys in both splits") {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../../datasets/udhr";
  std::vector<std::string> files;
  for (const auto& file : glob(folder, "*.txt.zst")) files.push_back(file.string());
  REQUIRE(files.size() == 62);
  std::map<std::string, std::set<std::string>> keys;
  for (const auto& document : all_of(*open_aligned(files))) keys[document.split].insert(document.group);
  CHECK(keys["test"].size() + keys["train"].size() == 51);
  CHECK(keys["test"].size() >= 20);
  CHECK(keys["train"].size() >= 20);
}

}  // namespace aligned_text_test
