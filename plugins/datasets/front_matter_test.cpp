#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace front_matter_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

const std::vector<std::string> kFiles = {
    "---\nkey: one\ntitle: \"The: First\"\ncategory: Permissive\nis_text: yes\nnotes: |\n    category: not "
    "this\nurls:\n"
    "- http://x\n---\n\nAllowed is\nall.\n\n\nNo warranty.\n",
    "---\nkey: two\ncategory: Copyleft\nis_text: yes\nis_notice: yes\nowner:\n---\nShare --- alike.\n---\nOn.\n",
    "---\nkey: three\nis_notice: yes\n---\nNone.\n", "---\ncategory: Empty\n---\n\n"};

std::vector<Document> read(const std::vector<std::string>& contents, Table more = {}) {
  const testing::Scratch scratch;
  List files;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const auto file = scratch / ("f" + std::to_string(i) + ".txt");
    write_file(file, contents[i]), files.push_back(Value(file.string()));
  }
  more["type"] = "front_matter", more["files"] = files;
  std::vector<Document> all;
  testing::registry().make<DataSource>(more)->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

std::vector<std::string> labels(const std::vector<Document>& all) {
  std::vector<std::string> out;
  for (const auto& one : all) out.push_back(one.id + "=" + one.fields.at("label"));
  return out;
}

TEST_CASE("front_matter: the text behind the header, in paragraphs") {
  const auto all = read(kFiles);
  REQUIRE(all.size() == 3);  // the last file has no text
  CHECK(all[0].id == "f0");
  CHECK(all[0].title == "The: First");
  CHECK(all[0].text == "Allowed is\nall.\nNo warranty.");
  REQUIRE(all[0].annotations.size() == 2);
  CHECK(all[0].text.substr(all[0].annotations[0].begin, all[0].annotations[0].end) == "Allowed is\nall.");
  CHECK(all[0].text.substr(all[0].annotations[1].begin) == "No warranty.");
  CHECK(all[1].text == "Share --- alike.\n---\nOn.");
  CHECK(all[0].fields.empty());
  CHECK(all[0].script == "Latn");
  CHECK(read(kFiles, {{"min_chars", 10}}).size() == 2);
}

TEST_CASE("front_matter: a label is a key's value, or the key that says yes") {
  CHECK(labels(read(kFiles, {{"label", List{Value("category")}}})) ==
        std::vector<std::string>{"f0=Permissive", "f1=Copyleft"});
  CHECK(labels(read(kFiles, {{"label", List{Value("is_text"), Value("is_notice")}}})) ==
        std::vector<std::string>{"f0=is_text", "f2=is_notice"});  // two say yes in the second
  const auto all = read(kFiles, {{"group", "category"}});
  CHECK(all[1].group == "Copyleft");
  CHECK(all[2].group.empty());
}

TEST_CASE("front_matter: a header that is none is refused with its place") {
  CHECK_THROWS_WITH(read({"text\n"}), ContainsSubstring(":1: no header; the first line is `---`"));
  CHECK_THROWS_WITH(read({"---\na: b\n"}), ContainsSubstring(":2: the header has no end"));
  CHECK_THROWS_WITH(read({""}), ContainsSubstring("the header has no end"));
  CHECK_THROWS_WITH(read({"---\nno pair\n---\nx\n"}), ContainsSubstring(":2: no `key: value` in the header"));
  CHECK_THROWS_WITH(read({"---\na: b\na: c\n---\nx\n"}), ContainsSubstring(":3: the key `a` stands twice"));
}

TEST_CASE("front_matter keeps the contract of a source") {
  const testing::Scratch scratch;
  List files;
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    write_file(scratch / ("f" + std::to_string(i) + ".txt"), kFiles[i]);
    files.push_back(Value((scratch / ("f" + std::to_string(i) + ".txt")).string()));
  }
  const Table settings{{"type", "front_matter"}, {"files", files}};
  auto changed = settings;
  changed["label"] = List{Value("category")};
  testing::check_data_source(testing::registry(), settings, changed);
}

}  // namespace front_matter_test
