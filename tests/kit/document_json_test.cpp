#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kit/document_decisions.h"
#include "kit/document_json.h"
#include "testing/toy_corpus.h"

namespace document_json_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("document_line writes what is there") {
  Document document;
  document.id = "a", document.text = "one\n\"two\"";
  CHECK(document_line(document) == "{\"id\":\"a\",\"text\":\"one\\n\\\"two\\\"\"}\n");
  document.title = "T", document.language = "en", document.script = "Latn", document.source = "s";
  document.group = "g", document.split = "dev", document.fields = {{"label", "x"}};
  document.annotations = {{"word", 0, 3, "v"}};
  CHECK(document_line(document) ==
        "{\"id\":\"a\",\"text\":\"one\\n\\\"two\\\"\",\"title\":\"T\",\"language\":\"en\",\"script\":\"Latn\","
        "\"source\":\"s\",\"group\":\"g\",\"split\":\"dev\",\"fields\":{\"label\":\"x\"},"
        "\"annotations\":[{\"kind\":\"word\",\"begin\":0,\"end\":3,\"value\":\"v\"}]}\n");
  document.text = "\xFF";
  CHECK_THROWS_WITH(document_line(document), ContainsSubstring("document `a` holds a text that is not UTF-8"));
}

TEST_CASE("decision_line writes what was decided, on what") {
  CHECK(decision_line({.id = "a", .rule = "length", .score = -2, .kept = false}) ==
        "{\"id\":\"a\",\"rule\":\"length\",\"score\":-2.0,\"kept\":false}\n");
  CHECK(decision_line(
            {.id = "a", .paragraph = 3, .group = "g", .rule = "r", .score = 0.5, .kept = true, .like = "b"}) ==
        "{\"id\":\"a\",\"paragraph\":3,\"group\":\"g\",\"rule\":\"r\",\"score\":0.5,\"kept\":true,\"like\":\"b\"}\n");
}

struct Twice final : DataSource {
  void for_each(const std::function<void(const Document&)>& visit) const override {
    const testing::ToyCorpus once({"x"});
    once.for_each(visit), once.for_each(visit);
  }
  std::string fingerprint() const override { return "twice"; }
};

TEST_CASE("distinct_documents refuse a document that comes again") {
  CHECK(distinct_documents(testing::ToyCorpus({"a", "b"}), "toy").size() == 2);
  CHECK_THROWS_WITH(distinct_documents(Twice(), "toy"),
                    ContainsSubstring("document `0` of `toy` comes twice; choose"));
}

TEST_CASE("decided_as_one: groups in the order of their first documents") {
  using Units = std::vector<std::vector<std::size_t>>;
  std::vector<Document> documents(5);
  documents[1].group = documents[4].group = "g", documents[2].group = "h";
  CHECK(decided_as_one(documents, true) == Units{{0}, {1, 4}, {2}, {3}});
  CHECK(decided_as_one(documents, false) == Units{{0}, {1}, {2}, {3}, {4}});
}

}  // namespace document_json_test
