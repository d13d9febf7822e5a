#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace spans_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kText =
    "::id x\n::group g\nOne here. Two there!\nThree\n\n::id y\nHe left. \"Why?\" No answer.\n";

Table settings(const std::filesystem::path& file, const char* type = "text") {
  return {{"type", type}, {"files", List{Value(file.string())}}};
}

std::vector<Document> parts(Table documents, Table more = {}) {
  more["type"] = "spans", more["documents"] = std::move(documents);
  std::vector<Document> all;
  testing::registry().make<DataSource>(more)->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

std::vector<std::string> texts(const std::vector<Document>& all) {
  std::vector<std::string> out;
  for (const auto& one : all) out.push_back(one.text);
  return out;
}

TEST_CASE("spans: sentences end with their paragraph at the latest") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", kText);
  const auto all = parts(settings(scratch / "en.txt"));
  CHECK(texts(all) ==
        std::vector<std::string>{"One here.", "Two there!", "Three", "He left.", "\"Why?\"", "No answer."});
  CHECK(all[1].id == "en:x/1");
  CHECK(all[2].group == "g");
  CHECK(all[3].group == "en:y");  // parts of a document without a group are one group
  CHECK(all[0].language == "en");
  CHECK(all[0].annotations.empty());
}

TEST_CASE("spans: annotations of any kind") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", kText);
  CHECK(texts(parts(settings(scratch / "en.txt"), {{"kind", "paragraph"}})) ==
        std::vector<std::string>{"One here. Two there!", "Three", "He left. \"Why?\" No answer."});
  CHECK(parts(settings(scratch / "en.txt"), {{"kind", "entity"}}).empty());
  write_file(scratch / "tagged.txt", "the/DT cat/NN\n");
  CHECK(texts(parts(settings(scratch / "tagged.txt", "tagged_text"), {{"kind", "tag"}})) ==
        std::vector<std::string>{"the", "cat"});
}

TEST_CASE("spans: all of the text, once") {
  const testing::Scratch scratch;
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "Sentence number " + std::to_string(i) + " of many? Yes, e.g. this one; 3.5.\n";
  write_file(scratch / "en.txt", text);
  std::string whole, cut;
  testing::registry().make<DataSource>(settings(scratch / "en.txt"))->for_each([&](const Document& one) {
    for (const char c : one.text)
      if (c != ' ' && c != '\n') whole += c;
  });
  const auto all = parts(settings(scratch / "en.txt"));
  CHECK(all.size() > 350);
  for (const auto& one : all)
    for (const char c : one.text)
      if (c != ' ') cut += c;
  CHECK(cut == whole);
}

TEST_CASE("spans: nothing to cut is refused") {
  CHECK_THROWS_WITH(testing::registry().make<DataSource>({{"type", "spans"}, {"documents", "none"}}),
                    ContainsSubstring("`documents` is none"));
}

TEST_CASE("spans keeps the contract of a source") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", kText);
  const Table whole{{"type", "spans"}, {"documents", settings(scratch / "en.txt")}};
  auto changed = whole;
  changed["kind"] = "paragraph";
  testing::check_data_source(testing::registry(), whole, changed);
}

}  // namespace spans_test
