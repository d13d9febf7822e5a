#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <numeric>

#include "api/fitter.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"
#include "testing/toy_encoder.h"

namespace word_counts_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

State fit(const std::vector<std::string>& texts, Table more = {}, const Encoder* encoder = nullptr) {
  more["type"] = "word_counts";
  more.try_emplace("min_count", 1), more.try_emplace("max_share", 1.0);
  return testing::registry().make<Fitter>(more)->fit(testing::ToyCorpus(texts), encoder, nullptr, RandomStreams(0));
}

// cat: 3 tokens in 2 documents, dog: 2 in 1, owl: 1 in 1, und: 4 in 4.
const std::vector<std::string> kTexts = {"Cat, cat und dog; DOG 12!", "cat und", "und 7 - 7", "owl und"};

TEST_CASE("word_counts describes itself") { testing::check_component(testing::registry(), "fitter", "word_counts"); }

TEST_CASE("word_counts: words in lower case, most frequent first, without numbers and signs") {
  const auto state = fit(kTexts);
  CHECK(state.strings("words") == Strings{"und", "cat", "dog", "owl"});
  CHECK(state.ints("counts").data == std::vector<std::int64_t>{4, 3, 2, 1});
  CHECK(state.ints("documents").data == std::vector<std::int64_t>{4, 2, 1, 1});
}

TEST_CASE("word_counts: the background sums to one, mu is the mean length or as stated") {
  const auto by_documents = fit(kTexts), by_tokens = fit(kTexts, {{"background", "tokens"}, {"mu", 1000}});
  const std::vector<float> documents{4 / 8.F, 2 / 8.F, 1 / 8.F, 1 / 8.F},
      tokens{4 / 10.F, 3 / 10.F, 2 / 10.F, 1 / 10.F};
  CHECK(by_documents.floats("background").data == documents);
  CHECK(by_tokens.floats("background").data == tokens);
  CHECK(by_documents.floats("mu").data == std::vector<float>{2.5F});  // 10 words in 4 documents
  CHECK(by_tokens.floats("mu").data == std::vector<float>{1000});
  CHECK(fit(kTexts, {{"smoothing", "none"}, {"mu", 1000}}).floats("mu").data == std::vector<float>{0});
  // What was left out is no part of the model.
  const auto rest = fit(kTexts, {{"max_share", 0.5}});
  const auto& left = rest.floats("background").data;
  CHECK(rest.strings("words") == Strings{"cat", "dog", "owl"});
  CHECK_THAT(std::accumulate(left.begin(), left.end(), 0.0), WithinAbs(1, 1e-6));
  CHECK(rest.floats("mu").data == std::vector<float>{1.5F});
}

TEST_CASE("word_counts: rare words go, and words that the tokenizer cannot spell") {
  CHECK(fit(kTexts, {{"min_count", 2}}).strings("words") == Strings{"und", "cat", "dog"});
  const testing::ToyEncoder encoder({"cat", "ow", "##l", "und"});
  CHECK(fit(kTexts, {}, &encoder).strings("words") == Strings{"und", "cat", "owl"});
}

TEST_CASE("word_counts: a corpus of which nothing is left says what to change") {
  CHECK_THROWS_WITH(fit(kTexts, {{"min_count", 9}, {"max_share", 0.25}}),
                    ContainsSubstring("of 4 words none occurs 9 times and in at most 25 % of 4 documents; lower"));
}

}  // namespace word_counts_test
