#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "api/model.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace truncate_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint, xp::Table;
using xp::testing::Fixture, xp::testing::small_checkpoint, xp::testing::small_spec;

Checkpoint truncated(const Checkpoint& model, std::int64_t layers, std::int64_t width = 0, Table more = {}) {
  more.insert_or_assign("type", "truncate"), more.insert_or_assign("layers", layers);
  more.insert_or_assign("width", width);
  return xp::testing::transformed(more, {&model});
}

TEST_CASE("truncate to the first layers is the model whose outputs are the view's") {
  const at::NoGradGuard quiet;
  const char* norms = GENERATE("pre", "post");
  const char* kind = GENERATE("encoder", "decoder");
  CAPTURE(norms, kind);
  auto s = small_spec(3, 4);
  s.model.insert_or_assign("norm_position", norms), s.model.insert_or_assign("kind", kind);
  s.model.insert_or_assign("head", "mlm");
  s.objective = {{"type", std::string(kind) == "decoder" ? "causal_lm" : "mlm"}};
  Fixture trained(xp::testing::registry(), s);
  for (std::uint64_t i = 0; i < 3; ++i)
    trained.accumulate({trained.load(xp::testing::random_texts(s, 8, 1, i))}), trained.update();
  const auto whole = trained.exported();
  const auto ids = xp::ops::arange(25, 45, at::kLong).view({2, 10});
  auto mask = xp::ops::ones({2, 10}, at::kBool);
  mask[1].narrow(0, 6, 4).fill_(false);
  for (const std::int64_t layers : {1, 3, 4}) {
    CAPTURE(layers);
    const auto cut = truncated(whole, layers);
    CHECK(*cut.settings.at("layers").as<std::int64_t>() == layers);
    Fixture large(xp::testing::registry(), s, &whole), small(xp::testing::registry(), s, &cut);
    const auto run = [&](const Fixture& f, xp::View view) {
      const auto& w = f.weights("primary").values;
      auto out = f.model("primary").forward(w, {.ids = ids, .mask = mask},
                                            {.tokens = true, .pooling = xp::Pooling::mean, .view = view});
      return std::tuple(out.tokens, out.pooled, f.model("primary").logits(w, out.tokens));
    };
    const auto [tokens, pooled, logits] = run(large, {.layers = layers});
    const auto [own_tokens, own_pooled, own_logits] = run(small, {});
    CHECK(own_tokens.equal(tokens));
    CHECK(own_pooled.equal(pooled));
    CHECK(own_logits.equal(logits));
  }
}

/// A model of tables alone: a token's vector and its place's; the first table again tells tokens apart.
class Tables final : public xp::Model {
 public:
  explicit Tables(std::int64_t width) : width_(width) {}
  xp::Strings capabilities() const override { return {"logits", "views"}; }
  void build(xp::BuildContext& context) override {
    context.add({"token", "vocab.input"}, {48, width_});
    context.add({"place", "position"}, {32, width_});
    context.add({"head", "vocab.output"}, {48, width_});
    context.add({"bias", "vocab.bias"}, {48});
  }
  xp::ModelShape shape() const override { return {0, width_, 0, 48, 48, 32}; }
  at::Tensor embed(xp::Weights w, const at::Tensor& ids) const override { return xp::ops::embedding(w[0], ids); }
  xp::ForwardOutput forward(xp::Weights w, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) const override {
    const auto tokens = embed(w, in.ids) + w[1].narrow(0, 0, in.ids.size(1));
    return xp::serve({.tokens = tokens}, in.mask, want);
  }
  at::Tensor logits(xp::Weights w, const at::Tensor& hidden) const override {
    return xp::ops::linear(hidden, w[2].narrow(1, 0, hidden.size(-1)), w[3]);
  }

 private:
  std::int64_t width_;
};

Checkpoint tables(bool tied) {
  Checkpoint out{"tables", {{"width", 16}}, {}, {{"mask", 3}}};
  out.parameters.info = {
      {"token", "vocab.input"}, {"place", "position"}, {"head", "vocab.output"}, {"bias", "vocab.bias"}};
  const auto numbers = [](std::int64_t rows, double step) {
    return xp::ops::arange(rows * 16, at::kFloat).mul(step).sin().view({rows, 16});
  };
  const auto token = numbers(48, 0.7);
  out.parameters.values = {token, numbers(32, 0.3), tied ? token : numbers(48, 1.1),
                           xp::ops::arange(48, at::kFloat).cos()};
  return out;
}

TEST_CASE("truncate to the first columns is exact for a model of tables") {
  const at::NoGradGuard quiet;
  const bool tied = GENERATE(false, true);
  const auto whole = tables(tied);
  const auto cut = truncated(whole, 0, 6);
  CHECK(*cut.settings.at("width").as<std::int64_t>() == 6);
  CHECK(cut.parameters.distinct().size() == (tied ? 3 : 4));
  const xp::ForwardInput in{.ids = xp::ops::arange(4, 24, at::kLong).view({2, 10})};
  const auto& w = whole.parameters.values;
  const auto& v = cut.parameters.values;
  const Tables large(16), small(6);
  for (const auto pooling : {xp::Pooling::none, xp::Pooling::mean, xp::Pooling::last}) {
    const auto view = large.forward(w, in, {.tokens = true, .pooling = pooling, .view = {.width = 6}});
    const auto own = small.forward(v, in, {.tokens = true, .pooling = pooling});
    CHECK(own.tokens.equal(view.tokens));
    CHECK(large.logits(w, view.tokens).equal(small.logits(v, own.tokens)));
    if (pooling != xp::Pooling::none) CHECK(own.pooled.equal(view.pooled));
  }
  CHECK(v[0].is_contiguous());
  CHECK(whole.parameters.values[0].size(1) == 16);
}

TEST_CASE("truncate keeps everything where nothing is to be cut, and never the training state") {
  auto a = small_checkpoint(1, 2);
  a.state.set("step", xp::Ints{{2}});
  for (const auto& [layers, width] : {std::pair(0, 0), std::pair(2, 16), std::pair(0, 16)}) {
    const auto b = truncated(a, layers, width);
    CHECK(xp::testing::parameter_difference(a, b) == 0);
    CHECK((b.settings == a.settings));
    CHECK_FALSE(b.state.has("step"));
  }
}

TEST_CASE("truncate refuses columns that other parameters have read") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(
      truncated(a, 0, 8),
      ContainsSubstring("`width` = 8 cannot be had: parameter `layer.0.attention.query` of role `dense` "
                        "reads all 16 columns before a view is cut, so no narrower one gives the same"));
  auto headed = tables(false);
  headed.objective_parameters = {{{"objective.output", "head"}}, {xp::ops::ones({2, 16})}};
  CHECK_THROWS_WITH(truncated(headed, 0, 8), ContainsSubstring("`strip_pretrain_only` first"));
  auto odd = tables(false);
  odd.parameters.values[1] = xp::ops::ones({32, 8});
  CHECK_THROWS_WITH(truncated(odd, 0, 8), ContainsSubstring("table `place` is not 16 columns wide"));
}

TEST_CASE("truncate says what is not there") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(truncated(a, 3), ContainsSubstring("`layers` is 3, and the model has 2 layers"));
  CHECK_THROWS_WITH(truncated(a, 0, 17), ContainsSubstring("`width` is 17, and the model is 16 wide"));
  CHECK_THROWS_WITH(truncated(a, 1, 0, {{"setting", "depth"}}), ContainsSubstring("have no `depth`"));
  CHECK_THROWS_WITH(truncated(a, 0, 8, {{"width_setting", "size"}}), ContainsSubstring("have no `size`"));
  CHECK_THROWS_WITH(xp::testing::transformed({{"type", "truncate"}}, {&a, &a}),
                    ContainsSubstring("`truncate` takes one checkpoint, not 2"));
}

}  // namespace truncate_test
