#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <map>
#include <set>

#include "api/fitter.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"
#include "testing/toy_encoder.h"

namespace token_ngrams_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Ids = std::vector<std::int64_t>;

const std::vector<std::string> kWords{"the", "north", "wind", "brings", "rain", "boat", "gull", "green", "book"};

/// Words by chance, "north wind" and "green book boat" as often as a word.
std::vector<std::string> texts() {
  RandomStream stream(4);
  std::vector<std::string> all;
  for (int i = 0; i < 60; ++i) {
    auto& text = all.emplace_back();
    for (int w = 0; w < 30; ++w) {
      const auto drawn = stream.below(11);
      text += drawn == 9    ? "north wind "
              : drawn == 10 ? "green book boat "
                            : kWords[static_cast<std::size_t>(drawn)] + " ";
    }
  }
  return all;
}

State fit(const std::vector<std::string>& corpus, const Encoder* encoder, Table more = {}) {
  more.emplace("type", "token_ngrams");
  return testing::registry().make<Fitter>(more)->fit(testing::ToyCorpus(corpus), encoder, nullptr, RandomStreams(1));
}

std::vector<Ids> rows(const State& state, std::int64_t n) {
  const auto& ngrams = state.ints("token_ngrams_" + std::to_string(n));
  REQUIRE(ngrams.shape.at(1) == n);
  std::vector<Ids> out;
  for (auto at = ngrams.data.begin(); at != ngrams.data.end(); at += n) out.emplace_back(at, at + n);
  REQUIRE(std::ssize(out) == ngrams.shape.at(0));
  return out;
}

/// The t-statistic of every n-gram that occurs `least` times.
std::map<Ids, double> plain(const Encoder& encoder, std::size_t n, double least) {
  std::map<std::int64_t, double> single;
  std::map<Ids, double> count;
  double tokens = 0, all = 0;
  for (const auto& text : texts()) {
    Ids ids;
    for (const auto& token : encoder.encode(text)) ids.push_back(token.id), ++single[token.id], ++tokens;
    for (std::size_t i = 0; i + n <= ids.size(); ++i) ++count[Ids(ids.data() + i, ids.data() + i + n)], ++all;
  }
  std::map<Ids, double> out;
  for (const auto& [ngram, c] : count) {
    double chance = 1;
    for (const auto id : ngram) chance *= single[id] / tokens;
    if (c >= least) out[ngram] = (c / all - chance) / std::sqrt(c / all * (1 - c / all) / all);
  }
  return out;
}

TEST_CASE("token_ngrams keeps what every component promises") {
  testing::check_component(testing::registry(), Fitter::kInterface, "token_ngrams");
}

TEST_CASE("token_ngrams keeps the n-grams with the highest t-statistic, highest first") {
  const testing::ToyEncoder encoder(kWords);
  const auto state = fit(texts(), &encoder, {{"most", 12}, {"min_count", 4}});
  CHECK(state.ints("vocab_size").data == Ids{encoder.size()});
  const auto id = [&](const char* word) { return static_cast<std::int64_t>(encoder.id(word)); };
  CHECK(rows(state, 3).front() == Ids{id("green"), id("book"), id("boat")});
  for (const std::int64_t n : {2, 3}) {
    const auto t = plain(encoder, static_cast<std::size_t>(n), 4);
    const auto kept = rows(state, n);
    REQUIRE(kept.size() == 12);
    std::vector<double> best;
    for (const auto& [ngram, value] : t) best.push_back(value);
    std::sort(best.rbegin(), best.rend());
    for (std::size_t i = 0; i < kept.size(); ++i) CHECK(std::abs(t.at(kept[i]) - best[i]) < 1e-9);
  }
}

TEST_CASE("token_ngrams counts none over the end of a document or over a token that is reserved") {
  const testing::ToyEncoder encoder({"a", "b", "c", "d"});
  const std::vector<std::string> corpus(6, "a b unseen c d");
  std::set<Ids> kept;
  for (const auto& row : rows(fit(corpus, &encoder, {{"longest", 2}, {"min_count", 2}}), 2)) kept.insert(row);
  CHECK(kept == std::set<Ids>{{encoder.id("a"), encoder.id("b")}, {encoder.id("c"), encoder.id("d")}});
}

TEST_CASE("token_ngrams says what it lacks") {
  const testing::ToyEncoder encoder(kWords);
  CHECK_THROWS_WITH(fit(texts(), nullptr), ContainsSubstring("write `tokenizer`"));
  CHECK_THROWS_WITH(fit(texts(), &encoder, {{"min_count", 100000}}), ContainsSubstring("lower `min_count`"));
  CHECK_THROWS_WITH(fit(texts(), &encoder, {{"longest", 1}}), ContainsSubstring("`longest` is 1"));
}

}  // namespace token_ngrams_test
