#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace known_items_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::unique_ptr<DataSource> open_items(const std::filesystem::path& file, Table more = {}) {
  more["type"] = "known_items", more["files"] = List{Value(file.string())};
  return testing::registry().make<DataSource>(more);
}

std::vector<Document> all_of(const DataSource& source) {
  std::vector<Document> documents;
  source.for_each([&](const Document& document) { documents.push_back(document); });
  return documents;
}

std::string refusal(const testing::Scratch& scratch, std::string_view content, Table more = {}) {
  write_file(scratch / "en.txt", content);
  try {
    all_of(*open_items(scratch / "en.txt", std::move(more)));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

constexpr const char* kItems =
    "::id a/1\n::group a\n::title On Cats\nThey purr.\nThey sleep.\n\n"
    "::title Setup\nFirst disk.\n\n::title  SETUP\nSecond disk.\n\nNo title here.\nTwo lines.\n";

TEST_CASE("known_items: a title asks for its document unless another one has it too") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", kItems);
  const auto documents = all_of(*open_items(scratch / "en.txt", {{"source", "manual"}}));
  REQUIRE(documents.size() == 4);  // those without a query stay: they are what may be found instead
  CHECK(documents[0].id == "en:a/1");
  CHECK(documents[0].group == "a");
  CHECK(documents[0].text == "They purr.\nThey sleep.");
  CHECK(documents[0].fields.at("query") == "On Cats");
  CHECK(documents[0].language == "en");
  CHECK(documents[0].script == "Latn");
  CHECK(documents[0].source == "manual");
  for (const auto i : {1, 2, 3}) CHECK(!documents[static_cast<std::size_t>(i)].fields.contains("query"));
  CHECK(documents[1].id == "en:2");
  CHECK(documents[2].title == "SETUP");
  CHECK(documents[3].text == "No title here.\nTwo lines.");
}

TEST_CASE("known_items: a first paragraph asks for the rest, which no longer holds it") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", kItems);
  const auto documents = all_of(*open_items(scratch / "en.txt", {{"query", "first_paragraph"}}));
  REQUIRE(documents.size() == 4);
  CHECK(documents[0].fields.at("query") == "They purr.");
  CHECK(documents[0].text == "They sleep.");
  CHECK(!documents[1].fields.contains("query"));
  CHECK(documents[1].text == "First disk.");
  CHECK(documents[3].fields.at("query") == "No title here.");
  CHECK(documents[3].text == "Two lines.");
}

TEST_CASE("known_items: groups are held out whole, in the stated share") {
  const testing::Scratch scratch;
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += "::group g" + std::to_string(i / 2) + "\n::title t" + std::to_string(i) + "\nText.\n\n";
  write_file(scratch / "en.txt", text);
  std::map<std::string, std::set<std::string>> splits;
  int test = 0;
  for (const auto& document : all_of(*open_items(scratch / "en.txt", {{"held_out", 0.3}}))) {
    splits[document.group].insert(document.split);
    test += document.split == "test";
  }
  for (const auto& [group, of_group] : splits) CHECK(of_group.size() == 1);
  CHECK(std::abs(test / 2 - 150) < 31);  // 500 groups: standard deviation 10.2
  for (const auto& document : all_of(*open_items(scratch / "en.txt", {{"held_out", 1}})))
    CHECK(document.split == "test");
}

TEST_CASE("known_items: the handbook that ships has hundreds of queries, all different") {
  const auto file = std::filesystem::path(__FILE__).parent_path() / "../../datasets/handbook/en.txt.zst";
  std::set<std::string> queries;
  std::size_t with = 0, documents = 0, test = 0;
  for (const auto& document : all_of(*open_items(file))) {
    ++documents;
    test += document.split == "test";
    if (!document.fields.contains("query")) continue;
    ++with;
    queries.insert(document.fields.at("query"));
  }
  CHECK(documents == 608);
  CHECK(queries.size() == with);
  CHECK(with >= 400);
  CHECK(test >= 430);
}

TEST_CASE("known_items keep the promises of a data source") {
  const testing::Scratch scratch;
  write_file(scratch / "first.txt", kItems);
  write_file(scratch / "second.txt", "::title A\nOne.\n\n::title B\nTwo.\n");
  const auto settings = [&](const char* name) {
    return Table{{"type", "known_items"}, {"files", List{(scratch / name).string()}}};
  };
  testing::check_data_source(testing::registry(), settings("first.txt"), settings("second.txt"));
  const auto plain = open_items(scratch / "first.txt")->fingerprint();
  for (const auto& more : {Table{{"query", "first_paragraph"}}, Table{{"held_out", 0.5}}, Table{{"language", "x"}}})
    CHECK(open_items(scratch / "first.txt", more)->fingerprint() != plain);
}

TEST_CASE("known_items: a mistake is shown with file and line") {
  const testing::Scratch scratch;
  CHECK_THAT(refusal(scratch, "::titel X\nText\n"), ContainsSubstring("en.txt:1: unknown directive `::titel`"));
  CHECK_THAT(refusal(scratch, "::id \nText\n"), ContainsSubstring("en.txt:1: `::id` wants a value"));
  CHECK_THAT(refusal(scratch, "Text\n::title a\n"),
             ContainsSubstring("en.txt:2: `::title` wants a value, once, and"));
  CHECK_THAT(refusal(scratch, "::id a\n::id b\nT\n"), ContainsSubstring("en.txt:2: `::id` wants a value, once"));
  CHECK_THAT(refusal(scratch, "::id a\nT\n\n::id a\nU\n"), ContainsSubstring("the id `a` stands twice"));
  CHECK_THAT(refusal(scratch, "::id a\n\nText\n"), ContainsSubstring("en.txt:2: a document with directives"));
  CHECK_THAT(refusal(scratch, "One.\n\nTwo.\n"), ContainsSubstring("has a query; titles are said by `::title`"));
  CHECK_THAT(refusal(scratch, "One.\n\nTwo.\n", {{"query", "first_paragraph"}}),
             ContainsSubstring("none has two paragraphs"));
}

}  // namespace known_items_test
