#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/fitter.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"

namespace marked_words_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

State fit(const std::vector<std::string>& texts, Table more = {}) {
  more["type"] = "marked_words";
  return testing::registry().make<Fitter>(more)->fit(testing::ToyCorpus(texts), nullptr, nullptr, RandomStreams(0));
}

TEST_CASE("marked_words describes itself") {
  testing::check_component(testing::registry(), "fitter", "marked_words");
}

TEST_CASE("marked_words: words between white space with their mark, most frequent first, then by their bytes") {
  // NFKC makes of the ligature two letters; case and punctuation stay.
  const auto state = fit({" b  a,\tb\n", "\uFB01n b", "B a,"});
  CHECK(state.strings("words") == Strings{"\u2581b", "\u2581a,", "\u2581B", "\u2581fin"});
  CHECK(state.ints("counts").data == std::vector<std::int64_t>{3, 2, 1, 1});
}

TEST_CASE("marked_words keeps the most frequent words, the same for any number of threads") {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("word" + std::to_string(i % 7) + " rare" + std::to_string(i));
  const auto one = fit(texts, {{"threads", 1}, {"most", 9}}), four = fit(texts, {{"threads", 4}, {"most", 9}});
  REQUIRE(one.strings("words").size() == 9);
  CHECK(one.strings("words")[0] == "\u2581word0");
  CHECK(one.strings("words")[7] == "\u2581rare0");
  CHECK(one.strings("words") == four.strings("words"));
  CHECK(one.ints("counts").data == four.ints("counts").data);
}

TEST_CASE("marked_words needs a word") { CHECK_THROWS_AS(fit({" \n"}), Error); }

}  // namespace marked_words_test
