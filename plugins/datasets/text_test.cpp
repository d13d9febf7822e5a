#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/file.h"
#include "testing/testing.h"

namespace text_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

std::unique_ptr<DataSource> open_text(const std::vector<std::string>& paths, Table more = {}) {
  List files;
  for (const auto& path : paths)
    files.push_back(Table{{"path", path}, {"name", path}, {"sha256", sha256_file(path)}});
  more["type"] = "text", more["files"] = std::move(files);
  return testing::registry().make<DataSource>(more);
}

std::vector<Document> all_of(const DataSource& source) {
  std::vector<Document> documents;
  source.for_each([&](const Document& document) { documents.push_back(document); });
  return documents;
}

std::string write(const testing::Scratch& scratch, std::string_view name, std::string_view content) {
  write_file(scratch / name, content);
  return (scratch / name).string();
}

std::string refusal(const testing::Scratch& scratch, std::string_view content) {
  try {
    all_of(*open_text({write(scratch, "xx.txt", content)}));
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    return std::string(error.what()).substr(std::string(error.what()).find("xx.txt"));
  }
  return "accepted";
}

TEST_CASE("text: directives, paragraphs and numbers become documents") {
  const testing::Scratch scratch;
  const auto file = write(scratch, "pt-BR.txt",
                          "::id a/1\n::group g\n::title Um título\nOlá mundo.\nSegunda linha.\n\n\n"
                          "sem nome\r\n\r\nterceiro");
  const auto documents = all_of(*open_text({file}));
  REQUIRE(documents.size() == 3);
  CHECK(documents[0].id == "pt-BR:a/1");
  CHECK(documents[0].group == "g");
  CHECK(documents[0].title == "Um título");
  CHECK(documents[0].text == "Olá mundo.\nSegunda linha.");
  CHECK(documents[0].language == "pt-BR");
  CHECK(documents[0].script == "Latn");
  REQUIRE(documents[0].annotations.size() == 2);
  CHECK(documents[0].annotations[0].kind == "paragraph");
  CHECK(documents[0].annotations[0].end == 11);
  CHECK(documents[0].annotations[1].begin == 12);
  CHECK(documents[0].annotations[1].end == documents[0].text.size());
  CHECK(documents[1].id == "pt-BR:2");
  CHECK(documents[1].text == "sem nome");
  CHECK(documents[1].group.empty());
  CHECK(documents[1].title.empty());
  CHECK(documents[2].id == "pt-BR:3");
}

TEST_CASE("text: settings and the fingerprint") {
  const testing::Scratch scratch;
  const auto file = write(scratch, "en.txt", "ééé\n\nabcd\n");
  const auto kept = all_of(*open_text({file}, {{"language", "fr"}, {"source", "web"}, {"min_chars", 4}}));
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].id == "en:2");
  CHECK(kept[0].language == "fr");
  CHECK(kept[0].source == "web");
  const auto before = open_text({file})->fingerprint();
  CHECK(open_text({file})->fingerprint() == before);
  CHECK(open_text({file}, {{"min_chars", 4}})->fingerprint() != before);
  write(scratch, "en.txt", "eee\n\nabcd\n");
  CHECK(open_text({file})->fingerprint() != before);
}

TEST_CASE("text: a mistake is shown with file and line") {
  const testing::Scratch scratch;
  CHECK_THAT(refusal(scratch, "ok\n\xff\n"), ContainsSubstring("xx.txt:2: invalid UTF-8"));
  CHECK_THAT(refusal(scratch, std::string("a\0b\n", 4)), ContainsSubstring("xx.txt:1: control character 0"));
  CHECK_THAT(refusal(scratch, "::titel X\nText\n"), ContainsSubstring("xx.txt:1: unknown directive `::titel`"));
  CHECK_THAT(refusal(scratch, "::id \nText\n"), ContainsSubstring("xx.txt:1: `::id` without a value"));
  CHECK_THAT(refusal(scratch, "Text\n::id a\n"), ContainsSubstring("xx.txt:2: `::id` behind text"));
  CHECK_THAT(refusal(scratch, "::id a\n::id b\nText\n"), ContainsSubstring("xx.txt:2: `::id` stands twice in one"));
  CHECK_THAT(refusal(scratch, "::id a\nT\n\n::id a\nU\n"), ContainsSubstring("xx.txt:4: the id `a` stands twice"));
  CHECK_THAT(refusal(scratch, "::id a\n\nText\n"),
             ContainsSubstring("xx.txt:2: a document with directives and without"));
  CHECK_THAT(refusal(scratch, "::id 2\nT\n\nU\n"), ContainsSubstring("document number 2 has no id"));
  CHECK(refusal(scratch, "\xEF\xBB\xBF::id a\nText\n") == "accepted");
}

TEST_CASE("text: the writing system follows most letters") {
  const testing::Scratch scratch;
  const auto script = [&](std::string_view file, std::string_view text) {
    return all_of(*open_text({write(scratch, file, text)})).at(0).script;
  };
  CHECK(script("ru.txt", "Привет, Debian GNU!") == "Latn");
  CHECK(script("ru.txt", "Привет всем, Debian!") == "Cyrl");
  CHECK(script("ja.txt", "日本語の文章です") == "Jpan");
  CHECK(script("ja.txt", "日本国憲法") == "Jpan");
  CHECK(script("zh-CN.txt", "世界人权宣言") == "Hans");
  CHECK(script("zh-TW.txt", "世界人權宣言") == "Hant");
  CHECK(script("xx.txt", "世界") == "Hani");
  CHECK(script("ko.txt", "모든 人間은 자유로운") == "Kore");
  CHECK(script("en.txt", "1234 !?") == "");
}

TEST_CASE("text: the handbook that ships reads whole, in the scripts its manifest names") {
  const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path() / "../../datasets/handbook";
  const std::map<std::string, std::pair<std::size_t, std::string>> expected = {
      {"en", {608, "Latn"}}, {"de", {433, "Latn"}}, {"ja", {0, "Jpan"}}, {"zh-TW", {0, "Hant"}}, {"fa", {0, "Arab"}}};
  for (const auto& [language, what] : expected) {
    const auto documents = all_of(*open_text({(folder / (language + ".txt.zst")).string()}));
    CAPTURE(language);
    if (what.first) CHECK(documents.size() == what.first);
    REQUIRE(!documents.empty());
    std::size_t in_script = 0;
    for (const auto& document : documents) {
      in_script += document.script == what.second;
      CHECK(!document.group.empty());
    }
    CHECK(in_script * 50 >= documents.size() * 49);
  }
}

}  // namespace text_test
