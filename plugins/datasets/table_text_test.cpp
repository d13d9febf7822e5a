#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/testing.h"

namespace table_text_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::unique_ptr<DataSource> open_table(const std::filesystem::path& file, Table more = {}) {
  more["type"] = "labelled_text", more["files"] = List{Value(file.string())};
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
    all_of(*open_table(scratch / name, std::move(more)));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

const Table kPairs = {
    {"text", "premise"}, {"text_b", "hypothesis"}, {"split_column", "part"}, {"id", "key"}, {"group", "story"}};

void check_pair(const std::vector<Document>& documents) {
  REQUIRE(documents.size() == 2);
  CHECK(documents[0].id == "pairs:p1");
  CHECK(documents[0].text == "He said \"no\", twice");
  CHECK(documents[0].fields.at("text_b") == "He spoke");
  CHECK(documents[0].fields.at("label") == "1");
  CHECK(documents[0].split == "dev");
  CHECK(documents[0].group == "s");
  CHECK(documents[0].script == "Latn");
  CHECK(documents[1].fields.at("label") == "0");
}

TEST_CASE("labelled_text: the same records from TSV, CSV and JSON lines") {
  const testing::Scratch scratch;
  write_file(scratch / "pairs.tsv",
             "key\tpremise\thypothesis\tlabel\tpart\tstory\np1\tHe said \"no\", twice\tHe "
             "spoke\t1\tdev\ts\np2\ta\tb\t0\ttest\ts\n");
  write_file(scratch / "pairs.csv",
             "key,premise,hypothesis,label,part,story\np1,\"He said \"\"no\"\", twice\",He "
             "spoke,1,dev,s\r\np2,a,b,0,test,s\r\n");
  const std::string first =
      R"({"key": "p1", "premise": "He said \"no\", twice", "hypothesis": "He spoke", "label": 1,)";
  const std::string second =
      R"({"key": "p2", "premise": "a", "hypothesis": "b", "label": 0, "part": "test", "story": "s"})";
  write_file(scratch / "pairs.jsonl", first + R"( "part": "dev", "story": "s", "x": null})" + "\n" + second + "\n");
  for (const auto* name : {"pairs.tsv", "pairs.csv", "pairs.jsonl"}) {
    CAPTURE(name);
    check_pair(all_of(*open_table(scratch / name, kPairs)));
  }
}

TEST_CASE("labelled_text: columns named in the recipe, numbers as ids") {
  const testing::Scratch scratch;
  write_file(scratch / "polarity.txt", "good film\tpos\n\nbad film\tneg\n");
  const auto documents = all_of(*open_table(
      scratch / "polarity.txt", {{"format", "tsv"}, {"header", List{"text", "label"}}, {"language", "en"}}));
  REQUIRE(documents.size() == 2);
  CHECK(documents[0].id == "polarity:1");
  CHECK(documents[1].id == "polarity:2");
  CHECK(documents[1].text == "bad film");
  CHECK(documents[1].fields.at("label") == "neg");
  CHECK(documents[1].language == "en");
  CHECK(documents[1].split.empty());
  const auto one = open_table(scratch / "polarity.txt", {{"format", "tsv"}})->fingerprint();
  CHECK(open_table(scratch / "polarity.txt", {{"format", "csv"}})->fingerprint() != one);
  CHECK(open_table(scratch / "polarity.txt", {{"format", "tsv"}, {"label", ""}})->fingerprint() != one);
  CHECK(open_table(scratch / "polarity.txt", {{"format", "tsv"}, {"clean", true}})->fingerprint() != one);
}

TEST_CASE("labelled_text: quoted cells over several lines, without names, with control characters") {
  const testing::Scratch scratch;
  // As in the corpora of python3-pattern: byte order mark, no names, both kinds of line ends, quotes spoilt to bytes.
  const std::string text =
      "\xEF\xBB\xBF\"1\",\"a \"\"fine\"\" film , \nby all means . \n\"\r\n\n\"-1\",\"it\x12s dull\r\n\r\nand "
      "long\"\r\n1,short";
  write_file(scratch / "polarity-en.csv", text);
  const Table more{{"header", List{"label", "text"}}, {"clean", true}};
  const auto documents = all_of(*open_table(scratch / "polarity-en.csv", more));
  REQUIRE(documents.size() == 3);
  CHECK(documents[0].text == "a \"fine\" film , \nby all means .");
  CHECK(documents[0].fields.at("label") == "1");
  CHECK(documents[1].text == "it s dull\n\nand long");
  CHECK(documents[1].fields.at("label") == "-1");
  CHECK(documents[2].id == "polarity-en:3");
  CHECK(documents[2].text == "short");
  CHECK_THAT(refusal(scratch, "x.csv", text, {{"header", List{"label", "text"}}}),
             ContainsSubstring("x.csv:5: control character 18"));
  CHECK_THAT(refusal(scratch, "x.csv", text + "\xFF", more), ContainsSubstring("x.csv:8: invalid UTF-8"));
  CHECK_THAT(
      refusal(scratch, "x.csv", text, {{"clean", true}}),
      ContainsSubstring("x.csv:1: no column `text` among the 2 in the first record; if it holds no names, say"));
  write_file(scratch / "x.jsonl", "{\"text\": \"it\\u0012s\\nso\", \"label\": 1}\n");
  CHECK(all_of(*open_table(scratch / "x.jsonl", {{"clean", true}})).at(0).text == "it s\nso");
}

TEST_CASE("labelled_text: equal texts never come to lie in two splits") {
  const testing::Scratch scratch;
  write_file(scratch / "x.tsv", "text\tlabel\tpart\ngood\t1\ttrain\nbad\t0\ttrain\ngood\t1\ttest\n");
  const auto documents = all_of(*open_table(scratch / "x.tsv"));
  REQUIRE(documents.size() == 3);
  CHECK(!documents[0].group.empty());
  CHECK(documents[0].group == documents[2].group);
  CHECK(documents[0].group != documents[1].group);
  CHECK(documents[0].id != documents[2].id);
  for (const auto& document : all_of(*open_table(scratch / "x.tsv", {{"split_column", "part"}})))
    CHECK(document.group.empty());
}

TEST_CASE("labelled_text: a mistake is shown with file and line") {
  const testing::Scratch scratch;
  CHECK_THAT(refusal(scratch, "x.tsv", "text\tlabel\na\tb\tc\n"),
             ContainsSubstring("x.tsv:2: 3 cells, the table has 2 columns"));
  CHECK_THAT(refusal(scratch, "x.tsv", "text\ttopic\na\tb\n"),
             ContainsSubstring("x.tsv:1: no column `label` among the 2"));
  CHECK_THAT(refusal(scratch, "x.tsv", "text\tlabel\na\t\n"), ContainsSubstring("x.tsv:2: column `label` is empty"));
  CHECK_THAT(refusal(scratch, "x.tsv", "text\ttext\n"), ContainsSubstring("x.tsv:1: two columns"));
  CHECK_THAT(refusal(scratch, "x.tsv", "a\tb\n", {{"header", List{"text", "class"}}}),
             ContainsSubstring("`header`: no column `label` among the 2"));
  CHECK_THAT(refusal(scratch, "x.tsv", "a\tb\n", {{"header", List{"text", "text"}}}),
             ContainsSubstring("`header`: two columns have the same name"));
  CHECK_THAT(refusal(scratch, "x.jsonl", "{\"text\": \"a\\u0001b\", \"label\": \"c\"}\n"),
             ContainsSubstring("x.jsonl:1: column `text` has a control character"));
  CHECK_THAT(refusal(scratch, "x.jsonl", "{\"text\": \"a\"}\n"),
             ContainsSubstring("x.jsonl:1: no column `label`; there is `text`"));
  CHECK_THAT(refusal(scratch, "x.csv", "text,label\n \n,b\n"), ContainsSubstring("x.csv:2: 1 cell, the table has 2"));
  CHECK_THAT(refusal(scratch, "x.csv", "text,label\n\"a,b\n"),
             ContainsSubstring("x.csv:2: a quoted cell that does not end"));
  CHECK_THAT(refusal(scratch, "x.csv", "text,label\na\"b,c\n"), ContainsSubstring("x.csv:2: a quote inside a cell"));
  CHECK_THAT(refusal(scratch, "x.csv", "text,label\n\"a\"b,c\n"),
             ContainsSubstring("x.csv:2: a quote inside a cell"));
  CHECK_THAT(refusal(scratch, "x.jsonl", "{\"text\": \"a\", \"label\": \"b\"}\n{\"text\"\n"),
             ContainsSubstring("x.jsonl:2: "));
  CHECK_THAT(refusal(scratch, "x.jsonl", "[1]\n"), ContainsSubstring("x.jsonl:1: a line is one JSON object"));
  CHECK_THAT(refusal(scratch, "x.dat", "a"), ContainsSubstring("say `format`"));
}

}  // namespace table_text_test
