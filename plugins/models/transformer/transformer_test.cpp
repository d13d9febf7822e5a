#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace transformer_test {

using at::Tensor;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table model, at::ScalarType type = at::kDouble, const char* objective = "mlm") {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 4}, {"max_time", 32}, {"init_sd", 0.3}};
  for (auto& [key, value] : model) s.model.insert_or_assign(key, value);
  s.objective = {{"type", objective}};
  s.type = type;
  return s;
}

/// The model alone, with calls that need no weights spelt out.
struct Alone {
  explicit Alone(xp::Table table, at::ScalarType type = at::kDouble)
      : fixture(xp::testing::registry(), spec(std::move(table), type)) {}
  xp::ForwardOutput run(const xp::ForwardInput& in, const xp::ForwardRequest& want = {.tokens = true}) {
    return fixture.model("primary").forward(weights(), in, want);
  }
  Tensor embed(const Tensor& ids) { return fixture.model("primary").embed(weights(), ids); }
  Tensor logits(const Tensor& x) { return fixture.model("primary").logits(weights(), x); }
  xp::Weights weights() { return fixture.weights("primary").values; }
  Fixture fixture;
};

Tensor ids(std::int64_t items, std::int64_t time, std::int64_t seed = 0) {
  return (xp::ops::arange(items * time, at::kLong).add(seed).square().mul(31).add(7 * seed).remainder(23) + 25)
      .view({items, time});
}
double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// Settings that reach every branch.
xp::Table variant(int number) {
  switch (number) {
    case 0: return {};
    case 1:
      return {{"norm_position", "post"}, {"embedding_norm", true}, {"head", "mlm"}, {"activation", "gelu_tanh"}};
    case 2:
      return {{"kind", "decoder"}, {"positions", "rotary"}, {"norm", "rms"}, {"activation", "swiglu"},
              {"bias", false},     {"vocab_bias", false},   {"kv_heads", 2}, {"tied", false}};
    case 3: return {{"embedding_width", 8}, {"head", "mlm"}, {"embedding_norm", true}, {"norm_position", "post"}};
    case 4: return {{"embedding_width", 8}, {"positions", "sinusoidal"}, {"activation", "silu"}};
    case 5: return {{"vocab_rank", 6}, {"tied", false}, {"norm_position", "post"}};
    default: return {{"positions", "none"}, {"activation", "relu"}, {"ffn", 24}};
  }
}
constexpr int kVariants = 7;

TEST_CASE("a transformer's gradients are those of finite differences, and every parameter has one") {
  const auto number = GENERATE(range(0, kVariants));
  CAPTURE(number);
  const bool causal = number == 2;
  Fixture f(xp::testing::registry(), spec(variant(number), at::kDouble, causal ? "causal_lm" : "mlm"));
  f.set("mask_rate", 0.4);
  const auto batch = f.load(xp::testing::random_texts(spec({}), 3));
  CHECK(xp::testing::gradient_error(f, batch) < 1e-7);
  f.accumulate({batch});
  for (xp::Param i = 0; i < f.all().size(); ++i) {
    CAPTURE(f.all().info[i].name);
    REQUIRE(f.all().values[i].grad().defined());
    // A constant added to all keys changes no softmax.
    if (!f.all().info[i].name.ends_with("key.bias"))
      CHECK(f.all().values[i].grad().abs().max().item<double>() > 1e-12);
  }
}

TEST_CASE("gradients reach every parameter of an encoder through its decoder") {
  Alone m(
      xp::Table{{"kind", "encoder_decoder"}, {"layers", 1}, {"decoder_layers", 2}, {"tied", false}, {"head", "mlm"}});
  const auto mix = xp::ops::arange(2 * 5 * 48, at::kDouble).sin().view({2, 5, 48});
  const auto loss = [&] {
    const auto memory = m.run({.ids = ids(2, 6, 3)}).tokens;
    return (m.logits(m.run({.ids = ids(2, 5), .causal = true, .memory = memory}).tokens).log_softmax(-1) * mix).sum();
  };
  loss().backward();
  const at::NoGradGuard quiet;
  const auto& all = m.fixture.weights("primary");
  for (xp::Param i = 0; i < all.size(); ++i) {
    CAPTURE(all.info[i].name);
    REQUIRE(all.values[i].grad().defined());
    if (!all.info[i].name.ends_with("key.bias")) CHECK(all.values[i].grad().abs().max().item<double>() > 1e-9);
    auto entry = all.values[i].detach().view({-1})[all.values[i].numel() / 2];
    const auto at = [&](double step) { return entry.add_(step), loss().item<double>(); };
    const double up = at(1e-5), down = at(-2e-5);
    entry.add_(1e-5);
    const double exact = all.values[i].grad().view({-1})[all.values[i].numel() / 2].item<double>();
    CHECK(std::abs((up - down) / 2e-5 - exact) < 1e-6 * std::max(1.0, std::abs(exact)));
  }
}

TEST_CASE("padding changes nothing") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  const bool causal = GENERATE(false, true);
  CAPTURE(number, causal);
  Alone m(variant(number));
  const auto text = ids(1, 7);
  const auto padded = xp::ops::cat({xp::ops::cat({text, ids(1, 4, 9)}, 1), ids(1, 11, 5)}, 0);
  auto mask = xp::ops::ones({2, 11}, at::kBool);
  mask[0].narrow(0, 7, 4).fill_(false);
  const auto alone = m.run({.ids = text, .causal = causal}, {.tokens = true}).tokens[0];
  const auto beside = m.run({.ids = padded, .mask = mask, .causal = causal}).tokens[0].narrow(0, 0, 7);
  CHECK(apart(alone, beside) < 1e-12);
  for (const auto pooling : {xp::Pooling::first, xp::Pooling::mean, xp::Pooling::last, xp::Pooling::own})
    CHECK(apart(m.run({.ids = text, .causal = causal}, {.pooling = pooling}).pooled[0],
                m.run({.ids = padded, .mask = mask, .causal = causal}, {.pooling = pooling}).pooled[0]) < 1e-12);
}

TEST_CASE("later tokens do not change what a causal pass gives for earlier ones") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  CAPTURE(number);
  Alone m(variant(number));
  auto one = ids(2, 9), two = one.clone();
  two.narrow(1, 5, 4).copy_(ids(2, 4, 3));
  const auto a = m.run({.ids = one, .causal = true}).tokens, b = m.run({.ids = two, .causal = true}).tokens;
  CHECK(apart(a.narrow(1, 0, 5), b.narrow(1, 0, 5)) < 1e-12);
  CHECK(apart(a.narrow(1, 5, 4), b.narrow(1, 5, 4)) > 1e-3);
  if (number != 2)
    CHECK(apart(m.run({.ids = one}).tokens.narrow(1, 0, 5), m.run({.ids = two}).tokens.narrow(1, 0, 5)) > 1e-3);
}

TEST_CASE("picked positions are the tokens there, in any order, with every mask") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  const bool causal = GENERATE(false, true);
  CAPTURE(number, causal);
  Alone m(variant(number));
  const auto text = ids(3, 10);
  auto padding = xp::ops::ones({3, 10}, at::kBool);
  padding[1].narrow(0, 6, 4).fill_(false);
  auto left = xp::ops::ones({3, 10}, at::kBool);
  left[2].narrow(0, 0, 3).fill_(false);
  const auto window =
      (xp::ops::arange(10).unsqueeze(1) - xp::ops::arange(10).unsqueeze(0)).abs().le(2).expand({3, 10, 10});
  const auto some = xp::ops::tensor({12, 3, 27, 12, 0, 29, 25}, at::kLong);
  const auto first = xp::ops::tensor({0, 10, 20}, at::kLong);
  for (const auto& mask : {Tensor(), padding, left, window}) {
    const xp::ForwardInput in{.ids = text, .mask = mask, .causal = causal};
    const auto all = m.run(in).tokens.flatten(0, 1);
    CHECK(apart(m.run(in, {.at = some}).picked, all.index_select(0, some)) < 1e-12);
    CHECK(apart(m.run(in, {.tokens = true, .at = some}).picked, all.index_select(0, some)) < 1e-12);
    CHECK(apart(m.run(in, {.at = some, .view = {1, 6}}).picked,
                m.run(in, {.tokens = true, .view = {1, 6}}).tokens.flatten(0, 1).index_select(0, some)) < 1e-12);
    CHECK(apart(m.run(in, {.pooling = xp::Pooling::first}).pooled, all.index_select(0, first)) < 1e-12);
  }
  CHECK(m.run({.ids = text}, {.at = xp::ops::empty({0}, at::kLong)}).picked.sizes() == at::IntArrayRef({0, 16}));
}

TEST_CASE("a view is the truncated model") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  CAPTURE(number);
  Alone whole(variant(number));
  auto shorter = variant(number);
  shorter.insert_or_assign("layers", 1);
  Alone cut(shorter);  // weights depend on their names only
  const auto text = ids(2, 8);
  const auto view = whole.run({.ids = text}, {.tokens = true, .view = {1, 0}}).tokens;
  CHECK(view.equal(cut.run({.ids = text}).tokens));
  const auto layers = whole.run({.ids = text}, {.layers = true}).layers;
  REQUIRE(layers.size() == 3);
  CHECK(layers[1].equal(view));
  CHECK(layers[2].equal(whole.run({.ids = text}).tokens));
  const auto narrow = whole.run({.ids = text}, {.tokens = true, .view = {1, 6}}).tokens;
  CHECK(narrow.equal(view.narrow(-1, 0, 6)));
  CHECK(whole.logits(narrow).sizes() == at::IntArrayRef({2, 8, 48}));
  auto padded = view.new_zeros(view.sizes());
  padded.narrow(-1, 0, 6).copy_(narrow);
  CHECK(apart(whole.logits(narrow), whole.logits(padded)) < 1e-12);
  CHECK_THROWS_WITH(whole.run({.ids = text}, {.tokens = true, .view = {3, 0}}), ContainsSubstring("3 layers"));
}

TEST_CASE("embedded ids are the same as ids, where the model takes vectors") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  CAPTURE(number);
  Alone m(variant(number));
  const auto text = ids(2, 8);
  const auto all = m.fixture.model("primary").capabilities();
  if (std::ranges::find(all, "vectors") == all.end()) {
    CHECK_THROWS_WITH(m.run({.vectors = m.embed(text)}), ContainsSubstring("`vectors`"));
  } else {
    CHECK(apart(m.run({.vectors = m.embed(text)}).tokens, m.run({.ids = text}).tokens) < 1e-12);
  }
}

TEST_CASE("positions may be given, repeated and left out") {
  const at::NoGradGuard quiet;
  const char* kind = GENERATE("learned", "sinusoidal", "rotary");
  CAPTURE(kind);
  Alone m(xp::Table{{"positions", kind}}), none(xp::Table{{"positions", "none"}});
  const auto text = ids(2, 6);
  const auto order = xp::ops::arange(6).expand({2, 6});
  CHECK(apart(m.run({.ids = text}).tokens, m.run({.ids = text, .positions = order}).tokens) < 1e-12);
  const auto shuffle = xp::ops::tensor({3, 0, 5, 1, 4, 2}, at::kLong);
  const auto moved =
      m.run({.ids = text.index_select(1, shuffle), .positions = order.index_select(1, shuffle)}).tokens;
  CHECK(apart(moved, m.run({.ids = text}).tokens.index_select(1, shuffle)) < 1e-12);
  CHECK(apart(moved, m.run({.ids = text.index_select(1, shuffle)}).tokens) > 1e-3);
  const auto without = m.run({.ids = text, .positions = xp::ops::full({2, 6}, -1, at::kLong)}).tokens;
  CHECK(apart(without, none.run({.ids = text}).tokens) < 1e-12);
}

TEST_CASE("rotary positions are relative, learned ones are not") {
  const at::NoGradGuard quiet;
  const auto text = ids(1, 6);
  const auto here = xp::ops::arange(6).unsqueeze(0), there = here + 11;
  Alone rotary(xp::Table{{"positions", "rotary"}, {"kv_heads", 2}}), learned(xp::Table{});
  CHECK(apart(rotary.run({.ids = text, .positions = here}).tokens,
              rotary.run({.ids = text, .positions = there}).tokens) < 1e-10);
  CHECK(apart(rotary.run({.ids = text, .positions = here}).tokens,
              rotary.run({.ids = text, .positions = here * 2}).tokens) > 1e-3);
  CHECK(apart(learned.run({.ids = text, .positions = here}).tokens,
              learned.run({.ids = text, .positions = there}).tokens) > 1e-3);
}

TEST_CASE("keys that are left out are as if masked") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  const bool causal = GENERATE(false, true);
  CAPTURE(number, causal);
  Alone m(variant(number));
  const auto text = ids(2, 8);
  const auto keys = xp::ops::tensor({0, 2, 3, 7}, at::kLong);
  const auto mask = xp::ops::zeros({2, 8}, at::kBool).index_fill(1, keys, true);
  CHECK(apart(m.run({.ids = text, .causal = causal, .keys = keys}).tokens,
              m.run({.ids = text, .mask = mask, .causal = causal}).tokens) < 1e-12);
}

TEST_CASE("a decoder reads its memory, and none of its padding") {
  const at::NoGradGuard quiet;
  Alone m(xp::Table{{"kind", "encoder_decoder"}, {"decoder_layers", 1}, {"kv_heads", 2}});
  const auto text = ids(2, 5);
  const auto memory = m.run({.ids = ids(2, 7, 3)}).tokens;
  auto mask = xp::ops::ones({2, 7}, at::kBool);
  mask[0].narrow(0, 4, 3).fill_(false);
  const auto out = m.run({.ids = text, .causal = true, .memory = memory, .memory_mask = mask});
  auto other = memory.clone();
  other[0].narrow(0, 4, 3).fill_(9);
  CHECK(apart(out.tokens, m.run({.ids = text, .causal = true, .memory = other, .memory_mask = mask}).tokens) < 1e-12);
  other[1].narrow(0, 4, 3).fill_(9);
  CHECK(apart(out.tokens, m.run({.ids = text, .causal = true, .memory = other, .memory_mask = mask}).tokens) > 1e-3);
  const auto some = xp::ops::tensor({1, 7}, at::kLong);
  CHECK(apart(out.tokens.flatten(0, 1).index_select(0, some),
              m.run({.ids = text, .causal = true, .memory = memory, .memory_mask = mask}, {.at = some}).picked) <
        1e-12);
  Alone encoder(xp::Table{});
  CHECK_THROWS_WITH(encoder.run({.ids = text, .memory = memory}), ContainsSubstring("encoder_decoder"));
}

TEST_CASE("dropout draws the same for a position whether others are computed or not") {
  const at::NoGradGuard quiet;
  Alone m(xp::Table{{"dropout", 0.3}, {"norm_position", "post"}});
  const auto text = ids(2, 8);
  const auto dropout = [](const Tensor& x, double rate) {
    return x * xp::ops::arange(x.numel(), at::kDouble).mul(0.37).frac().view(x.sizes()).ge(rate) / (1 - rate);
  };
  const auto who = xp::ops::arange(2);
  const xp::ForwardInput in{.ids = text, .sample_id = who};
  const auto some = xp::ops::tensor({1, 2, 9}, at::kLong);
  const auto all = m.run(in, {.tokens = true, .dropout = dropout}).tokens.flatten(0, 1).index_select(0, some);
  CHECK(apart(all, m.run(in, {.at = some, .dropout = dropout}).picked) < 1e-12);
  CHECK(apart(all, m.run(in, {.at = some}).picked) > 1e-3);
  CHECK_THROWS_WITH(m.run({.ids = text}, {.tokens = true, .dropout = dropout}), ContainsSubstring("`sample_id`"));
  Alone weights(xp::Table{{"attention_dropout", 0.3}});
  const auto thin = weights.run(in, {.tokens = true, .dropout = dropout}).tokens;
  CHECK(apart(thin, weights.run(in).tokens) > 1e-3);
  const auto nothing = [](const Tensor& x, double) { return x; };
  CHECK(apart(weights.run(in, {.tokens = true, .dropout = nothing}).tokens, weights.run(in).tokens) < 1e-12);
  CHECK(apart(thin.flatten(0, 1).index_select(0, some), weights.run(in, {.at = some, .dropout = dropout}).picked) <
        1e-12);
}

TEST_CASE("bfloat16 weights give what float32 gives, within their precision") {
  const at::NoGradGuard quiet;
  const auto number = GENERATE(range(0, kVariants));
  const bool causal = GENERATE(false, true);
  CAPTURE(number, causal);
  auto settings = variant(number);
  settings.insert_or_assign("init_sd", 0.1);
  Alone wide(settings, at::kFloat);
  std::vector<Tensor> narrow;
  for (const auto& x : wide.weights()) narrow.push_back(x.to(at::kBFloat16));
  auto mask = xp::ops::ones({2, 9}, at::kBool);
  mask[1].narrow(0, 0, 2).fill_(false);
  const xp::ForwardInput in{.ids = ids(2, 9), .mask = mask, .causal = causal};
  const auto out = wide.fixture.model("primary").forward(narrow, in, {.tokens = true}).tokens;
  CHECK(out.scalar_type() == at::kBFloat16);
  const auto exact = wide.run(in).tokens;
  const auto read = mask.unsqueeze(-1);  // a causal query in the padding may read nothing
  CHECK(apart(out.to(at::kFloat) * read, exact * read) < 0.05 * exact.abs().max().item<double>());
}

TEST_CASE("flops count what is computed") {
  Alone m(xp::Table{});
  const auto text = ids(4, 8);
  const double d = 16, f = 64, tokens = 32, time = 8;
  const double key = 2 * d * d, query = 2 * d * d + 2 * d * time + 2 * d * f;
  const auto& model = m.fixture.model("primary");
  CHECK(model.flops({.ids = text}, {.tokens = true}) == 2 * 2 * tokens * (key + query));
  CHECK(model.flops({.ids = text}, {.tokens = true, .view = {1, 0}}) == 2 * tokens * (key + query));
  CHECK(model.flops({.ids = text}, {.at = xp::ops::arange(4)}) == 2 * (tokens * (2 * key + query) + 4 * query));
  CHECK(model.flops({.vectors = xp::ops::zeros({4, 8, 16})}, {.tokens = true}) == 2 * 2 * tokens * (key + query));
}

TEST_CASE("a transformer says which settings and inputs do not fit") {
  const at::NoGradGuard quiet;
  CHECK_THROWS_WITH(Alone(xp::Table{{"heads", 3}}), ContainsSubstring("`heads` (3) must divide `width` (16)"));
  CHECK_THROWS_WITH(Alone(xp::Table{{"kv_heads", 3}}), ContainsSubstring("`kv_heads` (3)"));
  CHECK_THROWS_WITH(Alone(xp::Table{{"layers", 0}}), ContainsSubstring("`layers` is 0"));
  CHECK_THROWS_WITH(Alone(xp::Table{{"decoder_layers", 1}}), ContainsSubstring("encoder_decoder"));
  Alone m(xp::Table{});
  CHECK_THROWS_WITH(m.run({.ids = ids(1, 33)}), ContainsSubstring("33 tokens"));
  CHECK_THROWS_WITH(m.run({.ids = ids(1, 2), .positions = xp::ops::full({1, 2}, 32, at::kLong)}),
                    ContainsSubstring("position 32"));
  CHECK_THROWS_WITH(m.run({}), ContainsSubstring("neither"));
}

TEST_CASE("parameters carry roles, layers and lasting names") {
  Alone m(xp::Table{{"tied", false}, {"head", "mlm"}, {"kind", "encoder_decoder"}});
  const auto& all = m.fixture.weights("primary");
  const auto role = [&](const char* name) { return all.info[all.find(name)].role; };
  CHECK(role("embedding.token") == "vocab.input");
  CHECK(role("embedding.position") == "position");
  CHECK(role("head.output") == "vocab.output");
  CHECK(role("head.bias") == "vocab.bias");
  CHECK(role("head.dense") == "head");
  CHECK(role("layer.1.attention.query") == "dense");
  CHECK(role("layer.1.attention.query.bias") == "bias");
  CHECK(role("layer.1.ffn.norm") == "norm");
  CHECK(all.info[all.find("layer.1.ffn.up")].layer == 1);
  CHECK(all.info[all.find("decoder.layer.1.cross_attention.key")].layer == 3);
  CHECK(all.select("role:vocab.*").size() == 3);
}

TEST_CASE("a checkpoint gives back the model to the bit") {
  Alone m(variant(1), at::kFloat);
  const auto saved = m.fixture.exported();
  auto s = spec({}, at::kFloat);
  s.seed = 99;  // other starting weights
  Fixture again(xp::testing::registry(), s, &saved);
  const at::NoGradGuard quiet;
  const auto text = ids(2, 8);
  const auto& w = again.weights("primary").values;
  CHECK(again.model("primary").forward(w, {.ids = text}, {.tokens = true}).tokens.equal(m.run({.ids = text}).tokens));
}

TEST_CASE("a factorised model is the model whose tables are the products") {
  const at::NoGradGuard quiet;
  const auto head = GENERATE("linear", "mlm");
  Alone whole(xp::Table{{"head", head}});
  const auto settings = whole.fixture.model("primary").factorised(5);
  REQUIRE(settings);
  Alone parts(*settings);
  CHECK_FALSE(parts.fixture.model("primary").factorised(5));
  const auto &w = whole.fixture.weights("primary"), &p = parts.fixture.weights("primary");
  CHECK(p.info[p.find("embedding.primitives")].role == "primitives");
  for (xp::Param i = 0; i < w.size(); ++i) {
    const auto& other = p.values[p.find(w.info[i].name)];
    if (w.info[i].name == "embedding.token")
      w.values[i].copy_(other.matmul(p.values[p.find("embedding.primitives")]));
    else
      w.values[i].copy_(other);
  }
  const auto text = ids(2, 7);
  const auto one = whole.run({.ids = text}).tokens, two = parts.run({.ids = text}).tokens;
  CHECK(apart(one, two) < 1e-12);
  CHECK(apart(whole.logits(one), parts.logits(two)) < 1e-12);
  CHECK(apart(whole.logits(one.narrow(-1, 0, 6)), parts.logits(two.narrow(-1, 0, 6))) < 1e-12);
}

}  // namespace transformer_test
