#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "api/fitter.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/toy_corpus.h"
#include "testing/toy_encoder.h"

namespace token_clusters_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

const std::vector<std::vector<std::string>> kTopics{{"ship", "wave", "sail", "harbour", "mast"},
                                                    {"cow", "field", "plough", "barn", "hay"},
                                                    {"star", "comet", "orbit", "moon", "lens"}};

testing::ToyEncoder encoder(const std::vector<std::string>& more = {}) {
  std::vector<std::string> words;
  for (std::size_t w = 0; w < 5; ++w)
    for (const auto& topic : kTopics) words.push_back(topic[w]);
  words.insert(words.end(), more.begin(), more.end());
  return testing::ToyEncoder(words);
}

/// Documents of words of one topic each.
testing::ToyCorpus corpus() {
  RandomStream stream(3);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 900; ++i) {
    auto& text = texts.emplace_back();
    for (int w = 0; w < 12; ++w) text += kTopics[i % 3][static_cast<std::size_t>(stream.below(5))] + " ";
  }
  return testing::ToyCorpus(texts);
}

std::vector<std::int64_t> fit(const Encoder* tokens, const Table& more = {}, std::uint64_t seed = 1) {
  Table settings{{"type", "token_clusters"}, {"clusters", 3}, {"dim", 16}, {"epochs", 5}, {"sample", 0.0}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  const auto state = testing::registry().make<Fitter>(settings)->fit(corpus(), tokens, nullptr, RandomStreams(seed));
  return state.ints("cluster").data;
}

TEST_CASE("token_clusters puts tokens that occur together into one cluster") {
  const auto tokens = encoder();
  for (const std::uint64_t seed : {1, 2, 3}) {
    const auto of = fit(&tokens, {}, seed);
    REQUIRE(std::ssize(of) == tokens.size());
    std::set<std::int64_t> all;
    for (const auto& topic : kTopics) {
      std::set<std::int64_t> here;
      for (const auto& word : topic) here.insert(of[static_cast<std::size_t>(tokens.id(word))]);
      INFO("seed " << seed << ", topic of " << topic[0]);
      CHECK(here.size() == 1);
      all.insert(here.begin(), here.end());
    }
    CHECK(all == std::set<std::int64_t>{0, 1, 2});
  }
}

TEST_CASE("token_clusters leaves reserved ids out and no cluster empty; unseen tokens share the last one") {
  const auto tokens = encoder({"never", "seen"});
  const auto of = fit(&tokens, {{"clusters", 12}});
  std::vector<int> size(12);
  for (TokenId id = 0; id < tokens.size(); ++id) {
    const auto cluster = of[static_cast<std::size_t>(id)];
    CHECK((cluster == -1) == (tokens.key(id).kind == TokenKind::special));
    if (cluster >= 0) ++size.at(static_cast<std::size_t>(cluster));
  }
  for (const int n : size) CHECK(n > 0);
  CHECK(size[11] == 2);
  CHECK(of[static_cast<std::size_t>(tokens.id("never"))] == 11);
  CHECK(of[static_cast<std::size_t>(tokens.id("seen"))] == 11);
  const auto each = fit(&tokens, {{"clusters", 16}});  // as many as there are: one token each
  std::set<std::int64_t> distinct(each.begin(), each.end());
  CHECK(distinct.size() == 17);
}

TEST_CASE("token_clusters gives the same artifact for the same seed") {
  const auto tokens = encoder();
  const Table five{{"clusters", 5}};
  CHECK(fit(&tokens, five, 4) == fit(&tokens, five, 4));
  std::set<std::vector<std::int64_t>> several;
  for (const std::uint64_t seed : {1, 2, 3, 4}) several.insert(fit(&tokens, five, seed));
  CHECK(several.size() > 1);
}

TEST_CASE("token_clusters says what it lacks") {
  testing::check_component(testing::registry(), Fitter::kInterface, "token_clusters");
  CHECK_THROWS_WITH(fit(nullptr), ContainsSubstring("write `tokenizer` in the stage that fits"));
  const auto tokens = encoder();
  CHECK_THROWS_WITH(fit(&tokens, {{"clusters", 16}}),
                    ContainsSubstring("15 tokens of the vocabulary occur in the text, "
                                      "too few for 16 clusters"));
  CHECK_THROWS_WITH(fit(&tokens, {{"lr", 1e30}}), ContainsSubstring("lower lr"));
}

}  // namespace token_clusters_test
