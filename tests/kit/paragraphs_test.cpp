#include <catch2/catch_test_macros.hpp>

#include "kit/paragraphs.h"

namespace paragraphs_test {

using namespace xp;

Document with_text(const std::string& text) {
  Document out;
  out.text = text;
  return out;
}

std::vector<std::string> texts(const Document& document) {
  std::vector<std::string> out;
  for (const auto& [begin, end] : paragraphs_of(document)) out.push_back(document.text.substr(begin, end - begin));
  return out;
}

TEST_CASE("paragraphs stand between empty lines where the source marks none") {
  CHECK(texts(with_text("one\ntwo\n\n \t\r\nthree\r\n\n")) == std::vector<std::string>{"one\ntwo", "three\r"});
  CHECK(texts(with_text("")).empty());
  CHECK(texts(with_text("\n \n")).empty());
  CHECK(texts(with_text("alone")) == std::vector<std::string>{"alone"});
}

TEST_CASE("paragraphs are what the source marks, in order and apart from each other") {
  auto document = with_text("one\ntwo\n\nthree");
  document.annotations = {{"paragraph", 4, 7, {}}, {"paragraph", 0, 3, {}},  {"section", 0, 7, {}},
                          {"paragraph", 2, 6, {}}, {"paragraph", 9, 99, {}}, {"paragraph", 5, 5, {}}};
  CHECK(texts(document) == std::vector<std::string>{"one", "two"});
}

TEST_CASE("paragraphs that are cut take their line ends along, and annotations shrink") {
  auto document = with_text("one\n\ntwo\n\nthree");
  document.annotations = {{"word", 0, 3, "a"}, {"word", 5, 8, "b"}, {"word", 10, 15, "c"},
                          {"all", 0, 15, "d"}, {"mark", 5, 5, "e"}, {"part", 6, 12, "f"}};
  const auto left = without_paragraphs(document, paragraphs_of(document), {true, false, true});
  CHECK(left.text == "one\n\nthree");
  std::string seen;
  for (const auto& mark : left.annotations)
    seen += mark.value + "=" + left.text.substr(mark.begin, mark.end - mark.begin) + ";";
  CHECK(seen == "a=one;c=three;d=one\n\nthree;e=;f=th;");
}

TEST_CASE("paragraphs at the ends are cut without leaving line ends") {
  const auto document = with_text("one\n\ntwo\n\nthree");
  const auto cut = [&](std::vector<bool> kept) {
    return without_paragraphs(document, paragraphs_of(document), kept).text;
  };
  CHECK(cut({false, true, true}) == "two\n\nthree");
  CHECK(cut({true, true, false}) == "one\n\ntwo");
  CHECK(cut({true, false, false}) == "one");
  CHECK(cut({false, false, false}).empty());
  CHECK(cut({true, true, true}) == document.text);
}

}  // namespace paragraphs_test
