#include "kit/generation.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"

namespace generation_test {

using namespace xp;
using at::Tensor;
using Catch::Matchers::ContainsSubstring;

constexpr std::int64_t kVocabulary = 5;
constexpr TokenId kEnd = 0;

/// Scores that depend on the last two tokens, so that the likeliest next token is not always on the likeliest text.
Tensor scores_after(TokenId before, TokenId last) {
  auto out = ops::empty({kVocabulary}, at::kDouble);
  for (std::int64_t v = 0; v < kVocabulary; ++v)
    out.mutable_data_ptr<double>()[v] =
        1.5 * std::sin(1.0 + 3.7 * before + 2.3 * last + 1.9 * static_cast<double>(v));
  return out;
}

class Toy final : public OpenTexts {
 public:
  explicit Toy(const std::vector<TokenId>& prompts) {
    for (const auto first : prompts) texts_.push_back({first, first});
  }
  Tensor start() override { return scores(); }
  Tensor next(const Tensor& ids) override {
    for (std::size_t i = 0; i < texts_.size(); ++i)
      texts_[i].push_back(static_cast<TokenId>(ids[static_cast<std::int64_t>(i)].item<std::int64_t>()));
    return scores();
  }
  void select(const Tensor& rows) override {
    std::vector<std::vector<TokenId>> kept;
    for (std::int64_t i = 0; i < rows.size(0); ++i)
      kept.push_back(texts_.at(static_cast<std::size_t>(rows[i].item<std::int64_t>())));
    texts_ = std::move(kept);
  }

 private:
  Tensor scores() const {
    std::vector<Tensor> out;
    for (const auto& text : texts_) out.push_back(scores_after(text[text.size() - 2], text.back()));
    return ops::stack(out);
  }
  std::vector<std::vector<TokenId>> texts_;
};

Limits limits(std::size_t items, std::int64_t room = 100) {
  return {[](TokenId id) { return id == kEnd; }, std::vector<std::int64_t>(items, room)};
}

std::vector<std::vector<TokenId>> run(const std::vector<TokenId>& prompts, const Table& how, std::uint64_t key = 1,
                                      std::int64_t room = 100) {
  Toy toy(prompts);
  std::vector<RandomStream> streams;
  for (std::size_t i = 0; i < prompts.size(); ++i) streams.push_back(RandomStream(key).fork(i + 1));
  return generate(toy, Decoding::read(how), limits(prompts.size(), room), streams);
}

/// Log-probability of a text behind its prompt, its end included if it ended.
double worth(TokenId prompt, const std::vector<TokenId>& text, bool ended) {
  double sum = 0;
  TokenId before = prompt, last = prompt;
  auto all = text;
  if (ended) all.push_back(kEnd);
  for (const auto token : all) {
    sum += scores_after(before, last).log_softmax(0)[token].item<double>();
    before = last, last = token;
  }
  return sum;
}

TEST_CASE("greedy generation takes the likeliest token until the end, the limit or the room") {
  const auto texts = run({1, 2, 3}, {{"max_tokens", 6}});
  for (std::size_t i = 0; i < 3; ++i) {
    auto before = static_cast<TokenId>(i + 1), last = before;
    std::vector<TokenId> wanted;
    for (int n = 0; n < 6; ++n) {
      const auto token = static_cast<TokenId>(scores_after(before, last).argmax().item<std::int64_t>());
      if (token == kEnd) break;
      wanted.push_back(token), before = last, last = token;
    }
    CHECK(texts[i] == wanted);
  }
  CHECK(run({1}, {{"max_tokens", 6}}, 1, 2)[0].size() <= 2);
  CHECK(run({1}, {{"max_tokens", 0}})[0].empty());
  CHECK(run({1}, {{"max_tokens", 6}}, 1, 0)[0].empty());
}

TEST_CASE("one candidate leaves no choice: top_k = 1 and a tiny top_p are greedy") {
  const auto greedy = run({1, 2, 3, 4}, {{"max_tokens", 8}});
  CHECK(run({1, 2, 3, 4}, {{"max_tokens", 8}, {"temperature", 2.0}, {"top_k", 1}}) == greedy);
  CHECK(run({1, 2, 3, 4}, {{"max_tokens", 8}, {"temperature", 2.0}, {"top_p", 1e-9}}) == greedy);
}

TEST_CASE("drawn tokens follow softmax(scores / temperature), within top_k and top_p") {
  const auto shares = [](const Table& how) {
    std::vector<double> counts(kVocabulary + 1);
    for (std::uint64_t key = 0; key < 4000; ++key) {
      const auto text = run({2}, how, key + 1)[0];
      counts[text.empty() ? kEnd : static_cast<std::size_t>(text[0])] += 1.0 / 4000;
    }
    return counts;
  };
  const auto p = scores_after(2, 2).div(0.7).softmax(0);
  const auto all = shares({{"max_tokens", 1}, {"temperature", 0.7}});
  for (std::int64_t v = 0; v < kVocabulary; ++v) {
    const double want = p[v].item<double>();
    CHECK(std::abs(all[static_cast<std::size_t>(v)] - want) < 4 * std::sqrt(want * (1 - want) / 4000) + 1e-12);
  }
  const auto [sorted, order] = p.sort(0, true);
  const double first_two = sorted[0].item<double>() + sorted[1].item<double>();
  for (const auto& how : {Table{{"max_tokens", 1}, {"temperature", 0.7}, {"top_k", 2}},
                          Table{{"max_tokens", 1}, {"temperature", 0.7}, {"top_p", first_two - 1e-6}}}) {
    const auto some = shares(how);
    const auto best = static_cast<std::size_t>(order[0].item<std::int64_t>()),
               second = static_cast<std::size_t>(order[1].item<std::int64_t>());
    CHECK(std::abs(some[best] + some[second] - 1) < 1e-9);
    CHECK(std::abs(some[best] - sorted[0].item<double>() / first_two) < 0.04);
  }
}

TEST_CASE("wide beams find the likeliest text of all") {
  for (const TokenId prompt : {1, 2, 3, 4}) {
    // All texts of at most four tokens, ended or cut.
    double best = -INFINITY;
    std::vector<std::vector<TokenId>> open{{}};
    for (int n = 0; n < 4; ++n) {
      std::vector<std::vector<TokenId>> longer;
      for (const auto& text : open) {
        best = std::max(best, worth(prompt, text, true));
        for (TokenId v = 1; v < kVocabulary; ++v) longer.push_back(text), longer.back().push_back(v);
      }
      open = std::move(longer);
    }
    for (const auto& text : open) best = std::max(best, worth(prompt, text, false));
    const auto found = run({prompt}, {{"max_tokens", 4}, {"beams", 300}, {"length_penalty", 0.0}})[0];
    CHECK(std::abs(worth(prompt, found, found.size() < 4) - best) < 1e-9);
  }
  const auto two = run({1, 3}, {{"max_tokens", 4}, {"beams", 3}});
  CHECK(two[0] == run({1}, {{"max_tokens", 4}, {"beams", 3}})[0]);
  CHECK(two[1] == run({3}, {{"max_tokens", 4}, {"beams", 3}})[0]);
  CHECK(run({1, 3}, {{"max_tokens", 4}, {"beams", 1}}) == run({1, 3}, {{"max_tokens", 4}}));
}

TEST_CASE("what sampling cannot have is refused by name") {
  for (const auto& [key, value] : Table{{"top_z", 1},
                                        {"temperature", -0.5},
                                        {"top_p", 1.5},
                                        {"top_k", -1},
                                        {"beams", 0},
                                        {"max_tokens", 1.5},
                                        {"length_penalty", "x"}})
    CHECK_THROWS_WITH(Decoding::read({{key, value}}),
                      ContainsSubstring("sampling cannot have `" + key + "` = ") && ContainsSubstring("`beams`"));
}

}  // namespace generation_test
