#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <map>

#include "api/fitter.h"
#include "testing/testing.h"

namespace word_alignment_test {

using namespace xp;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// Texts in English and French; a pair shares a group.
class Parallel final : public DataSource {
 public:
  explicit Parallel(std::vector<std::pair<std::string, std::string>> pairs) : pairs_(std::move(pairs)) {}
  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (std::size_t i = 0; i < pairs_.size(); ++i)
      for (const auto* language : {"en", "fr"}) {
        Document document;
        document.id = language + std::to_string(i), document.group = "g" + std::to_string(i);
        document.language = language;
        document.text = document.language == "en" ? pairs_[i].first : pairs_[i].second;
        visit(document);
      }
  }
  std::string fingerprint() const override { return "parallel"; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

State fit(const DataSource& corpus, const Table& more = {}) {
  Table settings{{"type", "word_alignment"}, {"source", "en"}, {"target", "fr"}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Fitter>(settings)->fit(corpus, nullptr, nullptr, RandomStreams(1));
}

std::map<std::pair<std::string, std::string>, std::int64_t> counts(const State& state) {
  std::map<std::pair<std::string, std::string>, std::int64_t> out;
  for (std::size_t i = 0; i < state.strings("source").size(); ++i)
    out[{state.strings("source")[i], state.strings("target")[i]}] = state.ints("counts").data[i];
  return out;
}

TEST_CASE("word_alignment: one step of model 1 is what one finds by hand") {
  // t = 1/2 at first. After a step t(x | none) = 2/3, t(x | a) = (0.4 + 0.8) / 1.6, t(x | b) = 1/2.
  const auto state = fit(Parallel({{"a b", "x y"}, {"a", "x"}}), {{"epochs", 2}, {"null", 0.2}, {"tension", 0.0}});
  const auto& nats = state.floats("log_likelihood");
  REQUIRE(nats.shape == std::vector<std::int64_t>{2, 2});
  CHECK(nats.data[0] == Approx(3 * std::log(0.5)));
  CHECK(nats.data[1] == Approx(std::log((0.2 * 2 / 3 + 0.4 * 0.75 + 0.4 * 0.5) * (0.2 / 3 + 0.4 * 0.25 + 0.4 * 0.5) *
                                        (0.2 * 2 / 3 + 0.8 * 0.75))));
}

TEST_CASE("word_alignment: the prior halves with each half of the text") {
  // tension 2 ln 2: the same place has 2/3 of what is left beside `null`, the other one 1/3.
  const auto state =
      fit(Parallel({{"a b", "x y"}, {"a", "x"}}), {{"epochs", 2}, {"null", 0.2}, {"tension", 2 * std::log(2.0)}});
  CHECK(state.floats("log_likelihood").data[1] == Approx(std::log(2.0 / 3 * (7.0 / 15) * 0.8)));
}

/// Sentences of words w0 ... w19 that become v0 ... v19, in order or backwards, with a word of its own in every one.
std::vector<std::pair<std::string, std::string>> planted(bool backwards) {
  RandomStream stream(5);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < 400; ++i) {
    std::string left, right = "le ";
    for (int w = 0; w < 8; ++w) {
      const auto k = std::to_string(stream.below(20));
      left += "w" + k + " ";
      right = backwards ? "v" + k + " " + right : right + "v" + k + " ";
    }
    pairs.emplace_back(left, right);
  }
  return pairs;
}

TEST_CASE("word_alignment finds translations in any order, and its likelihood never falls") {
  for (const bool backwards : {false, true}) {
    INFO("backwards " << backwards);
    const auto state = fit(Parallel(planted(backwards)), {{"epochs", 15}, {"tension", backwards ? 0.0 : 4.0}});
    const auto found = counts(state);
    for (int k = 0; k < 20; ++k) {
      const std::string word = std::to_string(k);
      const auto right = found.at({"w" + word, "v" + word});
      for (const auto& [pair, n] : found)
        if (pair.first == "w" + word && pair.second != "v" + word) CHECK(n * 4 < right);
    }
    const auto& nats = state.floats("log_likelihood").data;
    for (std::size_t i = 1; i < nats.size(); ++i)
      if (i != 15) CHECK(nats[i] >= nats[i - 1]);
    CHECK(nats[14] > nats[0] + 100);
  }
}

TEST_CASE("word_alignment: two words for one are kept by growing, not by the intersection") {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto* other : {"red", "old", "hot"})
    for (int i = 0; i < 5; ++i)
      pairs.emplace_back(std::string("potato ") + other, std::string("pomme terre ") + other + "e");
  std::map<std::string, std::int64_t> kept;
  std::int64_t all = 0;
  for (const auto* how : {"intersection", "grow_diag_final_and", "union"}) {
    const auto found = counts(fit(Parallel(pairs), {{"symmetrise", how}, {"epochs", 20}}));
    CHECK(found.at({"red", "rede"}) == 5);
    kept[how] = (found.contains({"potato", "pomme"}) ? 1 : 0) + (found.contains({"potato", "terre"}) ? 1 : 0);
    std::int64_t links = 0;
    for (const auto& [pair, n] : found) links += n;
    CHECK(links >= all);
    all = links;
  }
  CHECK(kept["intersection"] == 1);
  CHECK(kept["grow_diag_final_and"] == 2);
}

TEST_CASE("word_alignment orders its pairs, drops rare ones and says what is missing") {
  const Parallel corpus(planted(false));
  const auto state = fit(corpus, {{"min_count", 20}});
  CHECK(state.ints("texts").data == std::vector<std::int64_t>{400});
  const auto& words = state.strings("source");
  const auto& n = state.ints("counts").data;
  REQUIRE(words.size() >= 20);
  for (std::size_t i = 0; i < words.size(); ++i) {
    CHECK(n[i] >= 20);
    if (i > 0) CHECK((words[i - 1] < words[i] || (words[i - 1] == words[i] && n[i - 1] >= n[i])));
  }
  CHECK_THROWS_WITH(fit(corpus, {{"min_count", 100000}}), ContainsSubstring("lower min_count"));
  CHECK_THROWS_WITH(fit(corpus, {{"max_words", 3}}), ContainsSubstring("of 400 texts in both `en` and `fr`"));
  CHECK_THROWS_WITH(fit(corpus, {{"target", "mt"}}), ContainsSubstring("give a corpus of short parallel texts"));
  CHECK_THROWS_WITH(fit(corpus, {{"target", "en"}}), ContainsSubstring("both `en`"));
}

}  // namespace word_alignment_test
