#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace conll_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::vector<Document> read(const std::string& content, Table more = {}) {
  const testing::Scratch scratch;
  write_file(scratch / "ner.txt", content);
  more["type"] = "conll", more["files"] = List{Value((scratch / "ner.txt").string())};
  std::vector<Document> all;
  testing::registry().make<DataSource>(more)->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

constexpr const char* kTwo =
    "Empire\tB-facility\nState\tI-facility\n=\tO\nESB\tB-facility\nin\tO\nNew York\tB-geo-loc\nCity\tI-geo-loc\n"
    "\t\nOK\tO\n\n\n";

TEST_CASE("conll: sentences of words, a tag over each") {
  const auto all = read(kTwo);
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == "ner:1");
  CHECK(all[1].id == "ner:2");
  CHECK(all[0].text == "Empire State = ESB in New York City");
  REQUIRE(all[0].annotations.size() == 7);
  CHECK(all[0].annotations[5].value == "B-geo-loc");
  CHECK(all[0].text.substr(all[0].annotations[5].begin, 8) == "New York");
  CHECK(all[0].annotations[5].kind == "tag");
  CHECK(all[1].text == "OK");
}

TEST_CASE("conll: columns by number, blanks between them, documents' starts") {
  const auto all =
      read("-DOCSTART- -X- -X- O\n\nEU NNP  I-NP B-ORG\nrejects VBZ I-VP O\n-DOCSTART- -X- O O\nGo VB O O\n",
           {{"tag", 2}, {"kind", "pos"}});
  REQUIRE(all.size() == 2);
  CHECK(all[0].text == "EU rejects");
  CHECK(all[0].annotations[0].kind == "pos");
  CHECK(all[0].annotations[0].value == "NNP");
  CHECK(read("1 EU NNP\n", {{"word", 2}})[0].text == "EU");
}

TEST_CASE("conll: spans join what BIO tags join") {
  const auto all = read(std::string(kTwo) + "a\tI-x\nb\tI-x\nc\tB-x\nd\tI-y\ne\tO\nf\tI-y\n", {{"spans", "entity"}});
  std::vector<std::string> found;
  for (const auto& document : all)
    for (const auto& one : document.annotations)
      if (one.kind == "entity")
        found.push_back(one.value + "=" + document.text.substr(one.begin, one.end - one.begin));
  CHECK(found == std::vector<std::string>{"facility=Empire State", "facility=ESB", "geo-loc=New York City", "x=a b",
                                          "x=c", "y=d", "y=f"});
  const auto plain = read(kTwo);
  for (const auto& one : plain[0].annotations) CHECK(one.kind == "tag");
}

TEST_CASE("conll: a line without its columns is refused with its place") {
  for (const char* line : {"word", "word\t", "\tO"})
    CHECK_THROWS_WITH(read("a\tO\n" + std::string(line) + "\n"),
                      ContainsSubstring(":2: no word in column 1 with a tag in the last one"));
  CHECK_THROWS_WITH(read("a\tO\n", {{"tag", 3}}), ContainsSubstring("with a tag in column 3, found `a\tO`"));
  CHECK_THROWS_WITH(read(kTwo, {{"word", 2}, {"tag", 2}}), ContainsSubstring("same column"));
  CHECK_THROWS_WITH(read(kTwo, {{"spans", "tag"}}), ContainsSubstring("same name"));
}

TEST_CASE("conll keeps the contract of a source") {
  const testing::Scratch scratch;
  write_file(scratch / "ner.txt", kTwo);
  const Table settings{{"type", "conll"}, {"files", List{Value((scratch / "ner.txt").string())}}};
  auto changed = settings;
  changed["spans"] = "entity";
  testing::check_data_source(testing::registry(), settings, changed);
}

}  // namespace conll_test
