#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace obo_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kSmall = R"(format-version: 1.2
remark: a header with no colon rule [Term] inside

[Term]
id: T:1
name: Abnormality

[Term]
id: T:2
name: Eye
is_a: T:1 ! Abnormality

[Term]
id: T:3
name: Ear
is_a: T:1 {source="x"} ! Abnormality

[Term]
id: T:4
name: Cataract
def: "A \"cloudy\" lens\n of the eye." [https://example.org/x]
comment: Seen with age.
synonym: "Clouding" EXACT layperson []
synonym: "Lens opacity" EXACT []
is_a: T:2 ! Eye
! a remark

[Term]
id: T:5
name: Both
def: "In both." []
is_a: T:3 ! Ear
is_a: T:4 ! Cataract

[Term]
id: T:6
name: Gone
is_obsolete: true

[Typedef]
id: part_of
no pair here
)";

std::vector<Document> read(const std::string& content, Table more = {}) {
  const testing::Scratch scratch;
  write_file(scratch / "small.obo", content);
  more["type"] = "obo", more["files"] = List{Value((scratch / "small.obo").string())};
  std::vector<Document> all;
  testing::registry().make<DataSource>(more)->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

TEST_CASE("obo: a document for each term, in paragraphs") {
  const auto all = read(kSmall);
  REQUIRE(all.size() == 5);  // the obsolete term is gone
  const auto& one = all[3];
  CHECK(one.id == "T:4");
  CHECK(one.title == "Cataract");
  CHECK(one.text == "Cataract\nA \"cloudy\" lens  of the eye.\nSeen with age.\nClouding, Lens opacity");
  REQUIRE(one.annotations.size() == 4);
  CHECK(one.text.substr(one.annotations[2].begin, one.annotations[2].end - one.annotations[2].begin) ==
        "Seen with age.");
  CHECK(one.language == "en");
  CHECK(one.script == "Latn");
  CHECK_FALSE(one.fields.contains("label"));
}

TEST_CASE("obo: parts choose text, and terms without any are left out") {
  const auto all = read(kSmall, {{"parts", List{Value("def")}}});
  REQUIRE(all.size() == 2);
  CHECK(all[0].text == "A \"cloudy\" lens  of the eye.");
  CHECK(all[1].text == "In both.");
  CHECK(read(kSmall, {{"most", 3}}).size() == 3);
}

TEST_CASE("obo: a label is the one branch below the root") {
  const auto all = read(kSmall, {{"root", "T:1"}});
  REQUIRE(all.size() == 3);  // not the root, and not what lies in two branches
  CHECK(all[0].fields.at("label") == "Eye");
  CHECK(all[1].fields.at("label") == "Ear");
  CHECK(all[2].id == "T:4");
  CHECK(all[2].fields.at("label") == "Eye");
  // Terms that are ancestors of each other belong to no branch, and reading ends.
  CHECK(read("[Term]\nid: A\nname: a\nis_a: B\n[Term]\nid: B\nname: b\nis_a: A\n[Term]\nid: R\nname: r\n",
             {{"root", "R"}})
            .empty());
}

TEST_CASE("obo: what is broken is refused with its place") {
  CHECK_THROWS_WITH(read("[Term]\nid: A\nname a\n"), ContainsSubstring(":3: no `tag: value`, found `name a`"));
  CHECK_THROWS_WITH(read("[Term]\nid: A\ndef: \"open\n"), ContainsSubstring(":3: `def` without its text in quotes"));
  CHECK_THROWS_WITH(read("[Term]\nid: A\nid: B\n"), ContainsSubstring(":3: `id` stands twice in one term"));
  CHECK_THROWS_WITH(read("[Term]\nname: a\n"), ContainsSubstring(":1: a term without an `id`"));
  CHECK_THROWS_WITH(read("[Term]\nid: A\n\n[Term]\nid: A\n"), ContainsSubstring(":4: a second term `A`"));
  CHECK_THROWS_WITH(read(kSmall, {{"root", "T:9"}}), ContainsSubstring("no term `T:9`, which `root` names"));
}

TEST_CASE("obo keeps the contract of a source") {
  const testing::Scratch scratch;
  write_file(scratch / "small.obo", kSmall);
  const Table settings{{"type", "obo"}, {"files", List{Value((scratch / "small.obo").string())}}};
  auto changed = settings;
  changed["root"] = "T:1";
  testing::check_data_source(testing::registry(), settings, changed);
}

}  // namespace obo_test
