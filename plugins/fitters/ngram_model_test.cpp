#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/fitter.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"

namespace ngram_model_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Numbers = std::vector<std::int64_t>;

State fit(const std::vector<std::string>& texts, int order, int min_count) {
  return testing::registry()
      .make<Fitter>({{"type", "ngram_model"}, {"order", order}, {"min_count", min_count}})
      ->fit(testing::ToyCorpus(texts), nullptr, nullptr, RandomStreams(0));
}

TEST_CASE("ngram_model describes itself") { testing::check_component(testing::registry(), "fitter", "ngram_model"); }

TEST_CASE("ngram_model: n-grams of documents with their counts, in order") {
  const auto state = fit({"A b, a b c", "b A", "b"}, 2, 1);
  CHECK(state.strings("words") == Strings{"b", "a", "c"});  // 4, 3, 1
  CHECK(state.ints("unseen").data == Numbers{1});           // none, but one is assumed
  CHECK(state.ints("ngrams_2").shape == Numbers{3, 2});
  CHECK(state.ints("ngrams_2").data == Numbers{1, 2, 1, 3, 2, 1});  // b a, b c, a b: nothing across documents
  CHECK(state.ints("counts_2").data == Numbers{2, 1, 2});
  CHECK(state.ints("ngrams_1").data == Numbers{1, 2, 3});
  CHECK(state.ints("counts_1").data == Numbers{1, 1, 1});  // each follows one other word
  CHECK(!state.has("ngrams_3"));
  const auto plain = fit({"A b, a b c", "b A", "b"}, 1, 1);
  CHECK(plain.ints("counts_1").data == Numbers{4, 3, 1});
}

TEST_CASE("ngram_model: shorter n-grams count the words that they follow") {
  // x y z, u y z, y z: "y z" follows x and u; z follows y alone, y follows x and u.
  const auto state = fit({"x y z", "u y z", "y z", "x y z"}, 3, 1);
  CHECK(state.strings("words") == Strings{"y", "z", "x", "u"});
  CHECK(state.ints("ngrams_3").data == Numbers{3, 1, 2, 4, 1, 2});
  CHECK(state.ints("counts_3").data == Numbers{2, 1});
  CHECK(state.ints("ngrams_2").data == Numbers{1, 2});
  CHECK(state.ints("counts_2").data == Numbers{2});
  CHECK(state.ints("ngrams_1").data == Numbers{2});
  CHECK(state.ints("counts_1").data == Numbers{1});
}

TEST_CASE("ngram_model: rare words are one, and how many there are is kept") {
  const auto state = fit({"a b a c d a", "b"}, 2, 2);
  CHECK(state.strings("words") == Strings{"a", "b"});
  CHECK(state.ints("unseen").data == Numbers{2});
  CHECK(state.ints("ngrams_2").data == Numbers{0, 0, 0, 1, 1, 0, 1, 2, 2, 1});
  CHECK(state.ints("counts_2").data == Numbers{1, 1, 1, 1, 1});
}

TEST_CASE("ngram_model: a corpus that gives nothing says what to change") {
  CHECK_THROWS_WITH(fit({"a b", "c"}, 2, 2), ContainsSubstring("of 3 words none occurs 2 times; lower `min_count`"));
  CHECK_THROWS_WITH(fit({"a b", "a"}, 3, 1), ContainsSubstring("no document has 3 words in a row; lower `order`"));
  CHECK_THROWS_WITH(fit({"--"}, 3, 1), ContainsSubstring("of 0 words none occurs 1 time"));
}

}  // namespace ngram_model_test
