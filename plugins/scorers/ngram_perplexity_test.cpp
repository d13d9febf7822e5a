#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <functional>

#include "api/fitter.h"
#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"

namespace ngram_perplexity_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;

/// Has one artifact, by the name that the scorer was given.
class Model final : public Resources {
 public:
  explicit Model(State state) : state_(std::move(state)) {}
  std::int64_t vocab_size() const override { return 0; }
  std::int64_t reserved(std::string_view, std::int64_t) const override { throw Error("none"); }
  bool is_text(std::int64_t) const override { return true; }
  const State& artifact(std::string_view name) const override {
    if (name != "clean") throw Error("asked for another artifact");
    return state_;
  }
  Strings categories(std::string_view) const override { throw Error("none"); }
  const Encoder* tokenizer() const override { return nullptr; }

 private:
  State state_;
};

std::unique_ptr<Scorer> scorer(State state) {
  auto made = testing::registry().make<Scorer>(
      {{"type", "ngram_perplexity"}, {"model", Reference{.text = "clean", .kind = "statistics"}}});
  const Model model(std::move(state));
  made->start(model);
  return made;
}
State fitted(const std::vector<std::string>& texts, int order, int min_count = 1) {
  return testing::registry()
      .make<Fitter>({{"type", "ngram_model"}, {"order", order}, {"min_count", min_count}})
      ->fit(testing::ToyCorpus(texts), nullptr, nullptr, RandomStreams(0));
}
double score(const Scorer& scorer, const std::string& text) {
  Document document;
  document.text = text;
  return scorer.score(document);
}
/// Probability of the whole text.
double p_of(const Scorer& by, const std::string& text, int words) { return std::pow(-score(by, text), -words); }

TEST_CASE("ngram_perplexity describes itself") {
  testing::check_component(testing::registry(), "scorer", "ngram_perplexity");
}

// Unigrams a 4, b 2, c 1 (order 1: plain counts); n1 = 1 and n2 = 1, so the discount is 1 / (1 + 2).
TEST_CASE("ngram_perplexity: unigrams by hand, with the share of words that are not there") {
  const auto by = scorer(fitted({"a b a c", "a b a"}, 1));
  const double d = 1 / 3.0, left = d * 3 / 7 / 4;  // three kinds of words, four with the others
  CHECK_THAT(p_of(*by, "A", 1), WithinRel((4 - d) / 7 + left, 1e-9));
  CHECK_THAT(p_of(*by, "b", 1), WithinRel((2 - d) / 7 + left, 1e-9));
  CHECK_THAT(p_of(*by, "c", 1), WithinRel((1 - d) / 7 + left, 1e-9));
  CHECK_THAT(p_of(*by, "zebra", 1), WithinRel(left, 1e-9));
  CHECK_THAT(score(*by, "a, zebra"), WithinRel(-1 / std::sqrt(((4 - d) / 7 + left) * left), 1e-9));
  CHECK(score(*by, "--") == -4);  // three words and one that was not seen
}

// "a b a c" and "b a": ab 1, ba 2, ac 1 -> discount 2 / (2 + 2). Continuations: a follows {b}, b {a}, c {a}: 1 each,
// none follows two, so the discount is 1/2 by default.
TEST_CASE("ngram_perplexity: bigrams by hand: interpolated with what follows how many words") {
  const auto by = scorer(fitted({"a b a c", "b a"}, 2));
  const double one = (1 - 0.5) / 3 + 0.5 * 3 / 3 / 4, other = 0.5 / 4;
  CHECK_THAT(p_of(*by, "a", 1), WithinRel(one, 1e-9));
  CHECK_THAT(p_of(*by, "a b", 2), WithinRel(one * ((1 - 0.5) / 2 + 0.5 * 2 / 2 * one), 1e-9));
  CHECK_THAT(p_of(*by, "b a", 2), WithinRel(one * ((2 - 0.5) / 2 + 0.5 * 1 / 2 * one), 1e-9));
  CHECK_THAT(p_of(*by, "a a", 2), WithinRel(one * (0.5 * 2 / 2 * one), 1e-9));
  CHECK_THAT(p_of(*by, "c b", 2), WithinRel(one * one, 1e-9));  // nothing followed c
  CHECK_THAT(p_of(*by, "b zebra", 2), WithinRel(one * (0.5 * 1 / 2 * other), 1e-9));
}

TEST_CASE("ngram_perplexity: after any words the probabilities of the next add up to one") {
  const std::vector<std::string> texts{"a b a c a b d", "b a c", "d d a b a", "c a b a e", "f"};
  for (const int min_count : {1, 2}) {
    const auto by = scorer(fitted(texts, 3, min_count));
    // Of words that came once (e, f and, with min_count = 2, nothing else) the model knows how many there are.
    const std::vector<std::string> next{"a", "b", "c", "d", "e", "f"};
    for (const std::string before : {"a", "b", "a b", "b a", "d d", "zebra a", "a zebra", "f"}) {
      const auto words = static_cast<int>(before.size() > 5 || before.size() == 3 ? 2 : 1);
      double sum = 0;
      for (const auto& word : next) sum += p_of(*by, before + " " + word, words + 1) / p_of(*by, before, words);
      if (min_count == 1) sum += p_of(*by, before + " zebra", words + 1) / p_of(*by, before, words);
      INFO(before << ", " << min_count);
      CHECK_THAT(sum, WithinRel(1.0, 1e-9));
    }
  }
}

TEST_CASE("ngram_perplexity: text like the clean one first, then other order, then other words") {
  // Each has a word that no other has: the model learns that there are many such.
  std::vector<std::string> clean;
  for (int i = 0; i < 20; ++i)
    clean.push_back("the ship n" + std::to_string(i) + " sails over the sea and the cow stands in the field");
  const auto by = scorer(fitted(clean, 3, 2));
  const double like = score(*by, "the cow stands in the field"), mixed = score(*by, "field the in stands cow the"),
               alien = score(*by, "q9 zz xk qqq vv wx"), markup = score(*by, "div class b1 b2 div class");
  CHECK(like > mixed);
  CHECK(mixed > alien);
  CHECK(mixed > markup);
  CHECK(like < -1);
}

TEST_CASE("ngram_perplexity refuses what is no model") {
  const auto refused = [](const std::function<void(State&)>& spoil) {
    auto state = fitted({"a b a c", "b a"}, 2);
    spoil(state);
    try {
      scorer(std::move(state));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto no_model = ContainsSubstring("`clean` does not hold an n-gram model as `ngram_model` makes it");
  CHECK(refused([](State&) {}) == "accepted");
  CHECK_THAT(refused([](State& s) { s.set("words", Strings{}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("words", Strings{"a", "a", "b"}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("unseen", Ints{{0}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("ngrams_1", Ints{{1, 2, 4}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("ngrams_1", Ints{{1, 3, 2}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("ngrams_1", Ints{{1, 2, 2}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("counts_1", Ints{{1, 1, 0}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("counts_2", Ints{{1}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s.set("counts_2", Ints{{}}); }), no_model);
  CHECK_THAT(refused([](State& s) { s = State(); }), no_model);
  const auto unstarted = testing::registry().make<Scorer>(
      {{"type", "ngram_perplexity"}, {"model", Reference{.text = "clean", .kind = "statistics"}}});
  CHECK_THROWS_WITH(score(*unstarted, "a"), ContainsSubstring("has not got its model"));
}

}  // namespace ngram_perplexity_test
