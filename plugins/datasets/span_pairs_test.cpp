#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/file.h"
#include "base/text.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace span_pairs_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// Document d has d % 3 + 1 paragraphs; paragraph p has p % 2 + 2 sentences "Of D P S here."
std::string sentence(int d, int p, int s) {
  return "Of d" + std::to_string(d) + " p" + std::to_string(p) + " s" + std::to_string(s) + " here.";
}
std::string paragraph(int d, int p) {
  std::string text;
  for (int s = 0; s < p % 2 + 2; ++s) text += (s ? " " : "") + sentence(d, p, s);
  return text;
}
std::string corpus(int documents) {
  std::string text;
  for (int d = 0; d < documents; ++d) {
    for (int p = 0; p < d % 3 + 1; ++p) text += paragraph(d, p) + "\n";
    text += "\n";
  }
  return text;
}

struct Scene {
  testing::Scratch scratch;
  std::unique_ptr<DataSource> source;
  explicit Scene(const Table& more, int documents = 30) {
    write_file(scratch / "en.txt", corpus(documents));
    Table settings{{"type", "span_pairs"},
                   {"documents", Table{{"type", "text"}, {"files", List{(scratch / "en.txt").string()}}}}};
    for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
    source = testing::registry().make<DataSource>(settings);
  }
  std::vector<Document> all() const {
    std::vector<Document> out;
    source->for_each([&](const Document& document) { out.push_back(document); });
    return out;
  }
};

struct Origin {
  int document = -1, paragraph = -1;
  auto operator<=>(const Origin&) const = default;
};
/// Where a text comes from, by its first sentence.
Origin origin(const std::string& text) {
  Origin out;
  REQUIRE(std::sscanf(text.c_str(), "Of d%d p%d", &out.document, &out.paragraph) == 2);
  return out;
}

std::map<std::string, int> relations(const std::vector<Document>& pairs) {
  std::map<std::string, int> seen;
  for (const auto& pair : pairs) ++seen[pair.fields.at("relation")];
  return seen;
}

void check_pair(const Document& pair) {
  const auto& second = pair.fields.at("text_b");
  const auto& relation = pair.fields.at("relation");
  const auto a = origin(pair.text), b = origin(second);
  INFO(pair.text << " | " << second << " | " << relation);
  CHECK(pair.fields.at("label") == (relation == "same" ? "same" : "other"));
  if (relation == "easy") CHECK(a.document != b.document);
  if (relation == "hard") CHECK((a.document == b.document && a.paragraph != b.paragraph));
}

TEST_CASE("span_pairs SSP: two sentences of one paragraph, against others of the document and of other documents") {
  const Scene scene(Table{{"task", "SSP"}});
  const auto pairs = scene.all();
  for (const auto& pair : pairs) {
    check_pair(pair);
    const auto& second = pair.fields.at("text_b");
    CHECK((origin(pair.text).paragraph >= 0 && pair.text.find('.') == pair.text.size() - 1));  // one sentence
    CHECK(second.find('.') == second.size() - 1);
    if (pair.fields.at("relation") == "same") CHECK((origin(pair.text) == origin(second) && pair.text != second));
  }
  // 60 paragraphs; 10 documents have one paragraph only and get easy ones instead of hard ones.
  CHECK(relations(pairs) == std::map<std::string, int>{{"same", 60}, {"hard", 50}, {"easy", 70}});
}

TEST_CASE("span_pairs SP: a sentence and the rest of its paragraph, against whole paragraphs") {
  const Scene scene(Table{{"task", "SP"}, {"hard", 2}, {"easy", 0}});
  const auto pairs = scene.all();
  for (const auto& pair : pairs) {
    check_pair(pair);
    const auto a = origin(pair.text), b = origin(pair.fields.at("text_b"));
    const auto& second = pair.fields.at("text_b");
    if (pair.fields.at("relation") != "same") {
      CHECK(second == paragraph(b.document, b.paragraph));
      continue;
    }
    std::string rest;
    for (int s = 0; s < a.paragraph % 2 + 2; ++s)
      if (const auto one = sentence(a.document, a.paragraph, s); one != pair.text)
        rest += (rest.empty() ? "" : " ") + one;
    CHECK(second == rest);
  }
  CHECK(relations(pairs) == std::map<std::string, int>{{"same", 60}, {"hard", 100}, {"easy", 20}});
}

TEST_CASE("span_pairs PSD: two paragraphs of one document, each used once") {
  const Scene scene(Table{{"task", "PSD"}, {"easy", 2}});
  const auto pairs = scene.all();
  std::set<Origin> used;
  for (const auto& pair : pairs) {
    check_pair(pair);
    const auto a = origin(pair.text), b = origin(pair.fields.at("text_b"));
    CHECK(pair.text == paragraph(a.document, a.paragraph));
    CHECK(pair.fields.at("text_b") == paragraph(b.document, b.paragraph));
    if (pair.fields.at("relation") != "same") continue;
    CHECK((a.document == b.document && a.paragraph != b.paragraph));
    CHECK((used.insert(a).second && used.insert(b).second));
  }
  CHECK(relations(pairs) == std::map<std::string, int>{{"same", 20}, {"easy", 40}});
}

TEST_CASE("span_pairs exchanges spans within a group only, so that no split sees another's text") {
  for (const int documents : {30, 33, 16, 2}) {
    const Scene scene(Table{{"pool", 16}}, documents);
    std::map<int, std::set<std::string>> groups;
    std::set<std::string> ids;
    for (const auto& pair : scene.all()) {
      groups[origin(pair.text).document].insert(pair.group);
      groups[origin(pair.fields.at("text_b")).document].insert(pair.group);
      CHECK(ids.insert(pair.id).second);
      CHECK(pair.language == "en");
    }
    CHECK(groups.size() == static_cast<std::size_t>(documents));
    for (const auto& [document, its] : groups) CHECK(its.size() == 1);
  }
}

TEST_CASE("span_pairs gives the same pairs each time, and its fingerprint knows its settings") {
  testing::check_component(testing::registry(), DataSource::kInterface, "span_pairs");
  const Scene one(Table{}), again(Table{}), other(Table{{"task", "SP"}}), fewer(Table{{"easy", 0}});
  const auto a = one.all(), b = again.all(), c = one.all();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK((a[i].text == b[i].text && a[i].fields == b[i].fields && a[i].id == b[i].id));
    CHECK((a[i].text == c[i].text && a[i].fields == c[i].fields));
  }
  CHECK(one.source->fingerprint() == again.source->fingerprint());
  CHECK(one.source->fingerprint() != other.source->fingerprint());
  CHECK(one.source->fingerprint() != fewer.source->fingerprint());
  CHECK(one.source->fingerprint() != Scene(Table{}, 31).source->fingerprint());
}

TEST_CASE("span_pairs says what it lacks") {
  CHECK_THROWS_WITH(Scene(Table{}, 1).all(),
                    ContainsSubstring("there is one document, `en:1`; negatives need another"));
  CHECK_THROWS_WITH(Scene(Table{{"documents", "none"}}), ContainsSubstring("`documents` is none"));
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", "a\tOne sentence. Two.\n");
  const Scene flat(
      Table{{"documents", Table{{"type", "aligned_text"}, {"files", List{(scratch / "en.txt").string()}}}}});
  CHECK_THROWS_WITH(flat.all(), ContainsSubstring("marks no paragraphs"));
}

}  // namespace span_pairs_test
