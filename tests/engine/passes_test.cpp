// Evaluation in parts: texts that begin alike are read once, and no number changes.
#include <c10/core/GradMode.h>

#include <numeric>

#include "api/ops.h"
#include "engine/passes.h"
#include "engine/scoring.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

using at::Tensor;

testing::FixtureSpec passes_spec(Table settings, const char* objective) {
  testing::FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 4}, {"max_time", 40}, {"init_sd", 0.3}};
  for (auto& [key, value] : settings) s.model.insert_or_assign(key, value);
  s.objective = {{"type", objective}};
  s.type = at::kDouble;
  return s;
}

/// Does what another model does and counts the tokens that it reads.
class CountingModel final : public Model {
 public:
  explicit CountingModel(const Model& plain) : plain_(plain) {}
  Strings capabilities() const override {
    auto all = plain_.capabilities();
    if (!caches) std::erase(all, "cache");
    return all;
  }
  void build(BuildContext&) override {}
  ModelShape shape() const override { return plain_.shape(); }
  Tensor embed(Weights w, const Tensor& ids) const override { return plain_.embed(w, ids); }
  ForwardOutput forward(Weights w, const ForwardInput& in, const ForwardRequest& want) const override {
    tokens += in.ids.numel(), ++passes;
    return plain_.forward(w, in, want);
  }
  Tensor logits(Weights w, const Tensor& hidden) const override { return plain_.logits(w, hidden); }
  mutable std::int64_t tokens = 0, passes = 0;
  bool caches = true;

 private:
  const Model& plain_;
};

/// Texts of ids in a rectangle, padded at the end.
struct Rectangle {
  explicit Rectangle(const std::vector<std::vector<std::int64_t>>& texts) {
    std::size_t time = 0;
    for (const auto& text : texts) time = std::max(time, text.size());
    ids = ops::zeros({std::ssize(texts), static_cast<std::int64_t>(time)}, at::kLong);
    mask = ops::zeros(ids.sizes(), at::kBool);
    for (std::int64_t i = 0; i < std::ssize(texts); ++i) {
      const auto& text = texts[static_cast<std::size_t>(i)];
      for (std::int64_t t = 0; t < std::ssize(text); ++t)
        ids[i][t] = text[static_cast<std::size_t>(t)], mask[i][t] = true;
    }
    scored = ops::zeros(ids.sizes(), at::kBool);
  }
  void score(std::int64_t item, std::int64_t first, std::int64_t end) {
    scored[item].narrow(0, first, end - first).fill_(true);
  }
  Tensor ids, mask, scored;
};

std::vector<std::int64_t> words(std::int64_t n, std::int64_t seed) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < n; ++i) out.push_back(25 + (i * i * 7 + 13 * seed + i * seed) % 23);
  return out;
}
std::vector<std::int64_t> joined(std::vector<std::int64_t> a, const std::vector<std::int64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Two contexts with answers of several lengths in no order, a text alone, one that nothing is asked of, and one
/// with a hole in what is asked.
Rectangle questions() {
  const auto one = words(20, 1), two = words(12, 2);
  Rectangle r({joined(one, words(3, 3)), joined(two, words(9, 4)), joined(one, words(1, 5)), words(17, 6),
               joined(two, words(2, 7)), joined(one, words(6, 8)), words(5, 9), joined(two, words(4, 4))});
  r.score(0, 20, 23), r.score(1, 12, 21), r.score(2, 20, 21), r.score(3, 4, 17), r.score(4, 12, 14);
  r.score(5, 20, 22), r.score(5, 24, 26), r.score(7, 12, 16);
  return r;
}

/// Each text by itself, from the logits of all its positions.
std::vector<Score> scored_alone(const Model& model, Weights w, const Rectangle& r) {
  std::vector<Score> out(static_cast<std::size_t>(r.ids.size(0)));
  for (std::int64_t i = 0; i < r.ids.size(0); ++i) {
    const auto n = r.mask[i].sum().item<std::int64_t>();
    const auto ids = r.ids.narrow(0, i, 1).narrow(1, 0, n);
    const auto all =
        model.logits(w, model.forward(w, {.ids = ids, .causal = true}, {.tokens = true}).tokens).log_softmax(-1);
    for (std::int64_t t = 1; t < n; ++t) {
      if (!r.scored[i][t].item<bool>()) continue;
      auto& one = out[static_cast<std::size_t>(i)];
      one.nats -= all[0][t - 1][ids[0][t].item<std::int64_t>()].item<double>(), ++one.tokens;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("scores of texts that begin alike are those of each text alone, with fewer tokens read") {
  const at::NoGradGuard quiet;
  const std::vector<Table> kinds{{{"positions", "learned"}},
                                 {{"positions", "rotary"}, {"kv_heads", 2}, {"norm", "rms"}},
                                 {{"positions", "relative"}, {"scale_attention", false}},
                                 {{"positions", "sinusoidal"}}};
  const auto number = GENERATE(0u, 1u, 2u, 3u);
  auto settings = kinds[number];
  settings.insert_or_assign("kind", "decoder");
  testing::Fixture fixture(testing::registry(), passes_spec(settings, "causal_lm"));
  const auto& weights = fixture.weights("primary").values;
  const auto& model = fixture.model("primary");
  const auto r = questions();
  const auto want = scored_alone(model, weights, r);
  std::vector<std::int64_t> tokens;
  for (const bool caches : {true, false}) {
    CountingModel counting(model);
    counting.caches = caches;
    const auto got = score_texts(counting, weights, {}, r.ids, r.mask, r.scored);
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      CAPTURE(number, caches, i);
      CHECK(got[i].tokens == want[i].tokens);
      CHECK(std::abs(got[i].nats - want[i].nats) < 1e-10);
    }
    tokens.push_back(counting.tokens);
  }
  CHECK(tokens[0] < 0.8 * static_cast<double>(tokens[1]));
}

TEST_CASE("a text with padding before it is not joined with others") {
  const at::NoGradGuard quiet;
  testing::Fixture fixture(testing::registry(),
                           passes_spec({{"kind", "decoder"}, {"positions", "rotary"}}, "causal_lm"));
  const auto& weights = fixture.weights("primary").values;
  const auto text = words(16, 1);
  Rectangle r({joined({0, 0, 0}, text), joined({0, 0, 0}, text), text});
  r.mask.narrow(0, 0, 2).narrow(1, 0, 3).fill_(false);
  for (std::int64_t i = 0; i < 2; ++i) r.score(i, 14, 19);
  r.score(2, 11, 16);
  const auto got = score_texts(fixture.model("primary"), weights, {}, r.ids, r.mask, r.scored);
  CHECK(std::abs(got[0].nats - got[2].nats) < 1e-10);  // rotary positions tell distances only
  CHECK(std::abs(got[1].nats - got[2].nats) < 1e-10);
}

TEST_CASE("a view is scored as itself, and texts without a scored token cost no pass") {
  const at::NoGradGuard quiet;
  testing::Fixture fixture(testing::registry(), passes_spec({{"kind", "decoder"}}, "causal_lm"));
  const auto& weights = fixture.weights("primary").values;
  CountingModel counting(fixture.model("primary"));
  auto r = questions();
  const auto whole = score_texts(counting, weights, {}, r.ids, r.mask, r.scored);
  const auto view = score_texts(counting, weights, {.layers = 1}, r.ids, r.mask, r.scored);
  CHECK(std::abs(whole[0].nats - view[0].nats) > 1e-3);
  auto settings = Table{{"kind", "decoder"}, {"layers", 1}};
  testing::Fixture shorter(testing::registry(), passes_spec(settings, "causal_lm"));  // weights depend on names only
  const auto one = scored_alone(shorter.model("primary"), shorter.weights("primary").values, r);
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(std::abs(view[i].nats - one[i].nats) < 1e-10);
  counting.passes = 0;
  const auto none = score_texts(counting, weights, {}, r.ids, r.mask, ops::zeros(r.ids.sizes(), at::kBool));
  CHECK(counting.passes == 0);
  CHECK(none.at(3).tokens == 0);
}

TEST_CASE("shared prefixes end before the position that predicts, and grow only where that saves") {
  const auto one = words(20, 1);
  Rectangle r({joined(one, words(3, 3)), joined(words(9, 1), std::vector<std::int64_t>(8, 60)),
               joined(one, words(2, 5)), words(4, 1)});
  const auto groups = shared_prefixes(r.ids, {20, 9, 19, 1});
  REQUIRE(groups.size() == 3);  // the second text would leave 8 of 18 tokens to share
  std::size_t pair = 0;
  while (groups.at(pair).rows.size() != 2) ++pair;
  CHECK(groups[pair].prefix == 18);
  CHECK(
      (groups[pair].rows == std::vector<std::int64_t>{0, 2} || groups[pair].rows == std::vector<std::int64_t>{2, 0}));
  CHECK(shared_prefixes(r.ids, {0, 0, 0, 0}).empty());
}

TEST_CASE("passes in parts give the rows of one pass") {
  const at::NoGradGuard quiet;
  testing::Fixture fixture(testing::registry(), passes_spec({{"norm_position", "post"}}, "mlm"));
  const auto& weights = fixture.weights("primary").values;
  CountingModel counting(fixture.model("primary"));
  std::vector<std::vector<std::int64_t>> texts;
  for (std::int64_t i = 0; i < 90; ++i) texts.push_back(words(1 + (i * 17) % 38, i));
  const Rectangle r(texts);
  const auto time = r.ids.size(1);
  std::vector<std::int64_t> places;
  for (std::int64_t i = 89; i >= 0; i -= 2) places.push_back(i * time + (i * 17) % 38), places.push_back(i * time);
  for (auto want :
       {ForwardRequest{.pooling = Pooling::mean}, ForwardRequest{.pooling = Pooling::last},
        ForwardRequest{.pooling = Pooling::own, .view = {1, 6}}, ForwardRequest{.at = ops::tensor(places)}}) {
    const auto whole = counting.forward(weights, {.ids = r.ids, .mask = r.mask}, want);
    counting.tokens = counting.passes = 0;
    const auto parts = forward_in_parts(counting, weights, {.ids = r.ids, .mask = r.mask}, want);
    CHECK(counting.passes > 2);
    CHECK(counting.tokens < 0.75 * static_cast<double>(r.ids.numel()));  // most of the padding is not computed
    const auto &a = want.at.defined() ? whole.picked : whole.pooled,
               &b = want.at.defined() ? parts.picked : parts.pooled;
    CHECK((a - b).abs().max().item<double>() < 1e-12);
  }
  const auto behind = ops::tensor({time - 1});
  CHECK_THROWS_WITH(forward_in_parts(counting, weights, {.ids = r.ids, .mask = r.mask}, {.at = behind}),
                    Catch::Matchers::ContainsSubstring("behind its last token"));
}

TEST_CASE("parts hold every item once and no more tokens than allowed") {
  const auto parts = parts_of({5, 1, 9, 30, 4, 4, 0}, 20, 30);
  std::vector<std::int64_t> seen;
  for (const auto& part : parts) {
    CHECK((part.rows.size() == 1 || std::ssize(part.rows) * part.time <= 20));
    seen.insert(seen.end(), part.rows.begin(), part.rows.end());
  }
  CHECK(parts.front().time == 30);
  CHECK(parts_of({67, 66}, 200, 90).front().time == 72);
  CHECK(parts_of({67, 66}, 200, 70).front().time == 70);  // there are no more
  std::sort(seen.begin(), seen.end());
  std::vector<std::int64_t> all(7);
  std::iota(all.begin(), all.end(), 0);
  CHECK(seen == all);
}

}  // namespace xp::engine_test
