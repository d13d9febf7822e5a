#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace records_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::unique_ptr<DataSource> open_records(const std::filesystem::path& file, Table more = {}) {
  more["type"] = "records", more["files"] = List{Value(file.string())};
  return testing::registry().make<DataSource>(more);
}

std::vector<Document> all_of(const DataSource& source) {
  std::vector<Document> documents;
  source.for_each([&](const Document& document) { documents.push_back(document); });
  return documents;
}

std::string refusal(const testing::Scratch& scratch, std::string_view name, std::string_view content,
                    Table more = {}) {
  write_file(scratch / name, content);
  try {
    all_of(*open_records(scratch / name, std::move(more)));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

// In the manner of a table of cars: missing values, numbers of both kinds, a list that is no column.
constexpr const char* kCars = R"([
  {"Name": "ford a", "Miles_per_Gallon": 18, "Weight": 3504.5, "Year": "1970-01-01", "Sold": true, "Tags": ["x"]},
  {"Name": "fiat b", "Miles_per_Gallon": null, "Weight": 2000, "Year": "1971-01-01", "Sold": false}
])";

TEST_CASE("records: a record becomes a line of columns and a sentence that tells the same") {
  const testing::Scratch scratch;
  write_file(scratch / "cars.json", kCars);
  const auto documents = all_of(*open_records(scratch / "cars.json", {{"language", "en"}, {"source", "tables"}}));
  REQUIRE(documents.size() == 2);
  CHECK(documents[0].id == "cars:1");
  CHECK(documents[0].text == "Name: ford a | Miles_per_Gallon: 18 | Weight: 3504.5 | Year: 1970-01-01 | Sold: true");
  CHECK(documents[0].fields.at("text_b") ==
        "ford a has Miles per Gallon 18, Weight 3504.5, Year 1970-01-01 and Sold true.");
  CHECK(documents[0].script == "Latn");
  CHECK(documents[0].language == "en");
  CHECK(documents[0].source == "tables");
  CHECK(documents[1].text == "Name: fiat b | Weight: 2000 | Year: 1971-01-01 | Sold: false");
  CHECK(documents[1].fields.at("text_b") == "fiat b has Weight 2000, Year 1971-01-01 and Sold false.");
}

TEST_CASE("records: the template's parts in brackets go with the values that are missing") {
  const testing::Scratch scratch;
  write_file(scratch / "cars.json", kCars);
  const Table more{{"target", "The {Name} [runs {Miles_per_Gallon} miles and ]weighs {Weight} lbs [[{{dry}}]]."},
                   {"columns", List{"Weight", "Name"}},
                   {"between", "; "},
                   {"id", "Name"},
                   {"group", "Year"}};
  const auto documents = all_of(*open_records(scratch / "cars.json", more));
  REQUIRE(documents.size() == 2);
  CHECK(documents[0].fields.at("text_b") == "The ford a runs 18 miles and weighs 3504.5 lbs [{dry}].");
  CHECK(documents[1].fields.at("text_b") == "The fiat b weighs 2000 lbs [{dry}].");
  CHECK(documents[0].text == "Weight: 3504.5; Name: ford a");
  CHECK(documents[1].id == "cars:fiat b");
  CHECK(documents[1].group == "1971-01-01");
}

TEST_CASE("records: objects of lines and of a list are the same records, equal ones are one group") {
  const testing::Scratch scratch;
  write_file(scratch / "x.json", R"([{"a": "one", "b": 2}, {"a": "two", "b": 3.5}, {"a": "one", "b": 2}])");
  write_file(scratch / "x.jsonl",
             "{\"a\": \"one\", \"b\": 2}\n\n{\"a\": \"two\", \"b\": 3.5}\n{\"a\": \"one\", \"b\": 2}");
  const auto list = all_of(*open_records(scratch / "x.json")), lines = all_of(*open_records(scratch / "x.jsonl"));
  REQUIRE(list.size() == 3);
  REQUIRE(lines.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(list[i].id == lines[i].id);
    CHECK(list[i].text == lines[i].text);
    CHECK(list[i].fields == lines[i].fields);
    CHECK(list[i].group == lines[i].group);
  }
  CHECK(list[0].group == list[2].group);
  CHECK(list[0].group != list[1].group);
}

TEST_CASE("records keep the promises of a data source") {
  const testing::Scratch scratch;
  write_file(scratch / "first.json", kCars);
  write_file(scratch / "second.json", R"([{"Name": "saab c"}, {"Name": "opel d"}])");
  const auto settings = [&](const char* name) {
    return Table{{"type", "records"}, {"files", List{(scratch / name).string()}}};
  };
  testing::check_data_source(testing::registry(), settings("first.json"), settings("second.json"));
  const auto plain = open_records(scratch / "first.json")->fingerprint();
  for (const auto& more : {Table{{"target", "{Name}"}}, Table{{"columns", List{"Name"}}}, Table{{"between", ","}},
                           Table{{"id", "Name"}}})
    CHECK(open_records(scratch / "first.json", more)->fingerprint() != plain);
}

TEST_CASE("records: what cannot be read is shown with file and record") {
  const testing::Scratch scratch;
  CHECK_THAT(refusal(scratch, "x.json", R"([{"a": 1}, {"a": )"),
             ContainsSubstring("x.json: not JSON: parse error at"));
  CHECK_THAT(refusal(scratch, "x.json", R"({"a": 1})"), ContainsSubstring("x.json: records are a list of objects"));
  CHECK_THAT(refusal(scratch, "x.json", R"([{"a": 1}, 2])"),
             ContainsSubstring("x.json: record 2: a record is an object, found number"));
  CHECK_THAT(refusal(scratch, "x.json", R"([{"a": "b\nc"}])"),
             ContainsSubstring("x.json: record 1: column `a` has a control character"));
  CHECK_THAT(refusal(scratch, "x.json", R"([{"a": null}])"),
             ContainsSubstring("x.json: record 1: none of the columns has a value"));
  CHECK_THAT(refusal(scratch, "x.json", "[{\"a\": \"\xC3\"}]"), ContainsSubstring("x.json: not JSON"));
  CHECK_THAT(refusal(scratch, "x.jsonl", "{\"a\": 1}\n\n[2]\n"),
             ContainsSubstring("x.jsonl:3: a record is an object"));
  CHECK_THAT(refusal(scratch, "x.csv", "a\n1\n"), ContainsSubstring("x.csv ends neither in .json nor in .jsonl"));
}

TEST_CASE("records: what a recipe cannot mean is refused") {
  const testing::Scratch scratch;
  const auto with = [&](Table more) { return refusal(scratch, "x.json", R"([{"a": 1, "b": 2}, {"a": 3}])", more); };
  CHECK_THAT(with({{"target", "{a} and {b}"}}),
             ContainsSubstring("x.json: record 2: no value of `b`; in `target` a part that may be missing"));
  CHECK(with({{"target", "{a}[ and {b}]"}}) == "accepted");
  CHECK_THAT(with({{"target", "[{b}]"}}), ContainsSubstring("x.json: record 2: nothing is left of `target`"));
  CHECK_THAT(with({{"target", "{a}[ and {c}]"}}), ContainsSubstring("has a column `c`; there is `a` and `b`"));
  CHECK_THAT(with({{"columns", List{"a", "A"}}}), ContainsSubstring("has a column `A`; there is `a` and `b`"));
  CHECK_THAT(with({{"columns", List{"a", "a"}}}), ContainsSubstring("`columns` names `a` twice"));
  CHECK_THAT(with({{"id", "b"}}), ContainsSubstring("x.json: record 2: no value of `b`"));
  CHECK_THAT(with({{"target", "{a"}}), ContainsSubstring("`target` = `{a`: `{` without `}`"));
  CHECK_THAT(with({{"target", "a}"}}), ContainsSubstring("`}` without `{`"));
  CHECK_THAT(with({{"target", "{}"}}), ContainsSubstring("`{}` names no column"));
  CHECK_THAT(with({{"target", "[{a}"}}), ContainsSubstring("`[` without `]`"));
  CHECK_THAT(with({{"target", "{a}]"}}), ContainsSubstring("`]` without `[`"));
  CHECK_THAT(with({{"target", "[{a} [{b}]]"}}), ContainsSubstring("brackets inside brackets"));
}

}  // namespace records_test
