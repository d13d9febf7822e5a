#include "testing/torch_conformance_model.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "api/ops.h"
#include "base/text.h"
#include "kit/torch_operators.h"
#include "testing/conformance_component.h"
#include "testing/torch_toy_build.h"

namespace xp::testing {
namespace {

using at::Tensor;

constexpr std::int64_t kVocab = 40;
constexpr double kEqual = 1e-9;      // float64, and sums in another order
constexpr double kDifferent = 1e-6;  // what must be seen is far above rounding

/// Ids that look drawn, [items, time]; never 0.
Tensor text(std::int64_t items, std::int64_t time, std::int64_t seed = 0) {
  return (ops::arange(items * time, at::kLong).add(seed).square().mul(31).add(7 * seed).remainder(kVocab - 1) + 1)
      .view({items, time});
}
Tensor all_true(std::int64_t items, std::int64_t time) { return ops::ones({items, time}, at::kBool); }
double apart(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined() || a.sizes() != b.sizes()) return 1e300;
  return a.numel() ? (a - b).abs().max().item<double>() : 0;
}

/// A model with weights of its own.
struct Subject {
  Subject(const Registry& registry, const Table& settings) : model(registry.make<Model>(settings)) {
    model->build(build);
    const auto list = model->capabilities();
    can.insert(list.begin(), list.end());
    causal = !can.contains("bidirectional");
  }
  bool has(const char* capability) const { return can.contains(capability); }
  ForwardInput input(Tensor ids) const { return {.ids = std::move(ids), .causal = causal}; }
  ForwardOutput run(const ForwardInput& in, const ForwardRequest& want = {.tokens = true}) const {
    return model->forward(build.own.values, in, want);
  }
  Tensor tokens(const ForwardInput& in) const { return run(in).tokens; }

  std::unique_ptr<Model> model;
  ToyBuild build{kVocab};
  std::set<std::string> can;
  bool causal = false;  ///< passes of this suite, where it does not matter
};

void check_declared(const ComponentInfo& info, const Subject& s) {
  std::set<std::string> known;
  for (const auto& gives : info.schema.gives)
    if (gives.what == "capability" && holds(gives.when, s.model->settings())) known.insert(gives.name);
  CHECK(known == s.can);
  std::set<std::string> names;
  for (const auto& parameter : s.build.own.info) {
    INFO("parameter " << parameter.name);
    CHECK_FALSE(parameter.role.empty());
    CHECK(names.insert(parameter.name).second);
  }
}

void check_shapes(const Subject& s) {
  const auto shape = s.model->shape();
  const auto in = s.input(text(3, 7));
  const auto at = ops::tensor({20, 0, 9, 9}, at::kLong);
  const auto out = s.run(in, {.tokens = true, .layers = true, .pooling = Pooling::mean, .at = at});
  const auto d = shape.width;
  REQUIRE(d > 0);
  REQUIRE(out.tokens.sizes() == at::IntArrayRef({3, 7, d}));
  CHECK(out.tokens.isfinite().all().item<bool>());
  CHECK(apart(out.picked, out.tokens.flatten(0, 1).index_select(0, at)) < kEqual);
  CHECK(out.pooled.sizes() == at::IntArrayRef({3, d}));
  REQUIRE(std::ssize(out.layers) == shape.layers + 1);
  CHECK(apart(out.layers.back(), out.tokens) < kEqual);
  CHECK(apart(s.run(in, {.at = at}).picked, out.picked) < kEqual);
  CHECK(apart(s.tokens(in), out.tokens) == 0);  // pure, and the same whatever else is asked for
  for (const auto pooling : {Pooling::mean, Pooling::own})
    if (pooling == Pooling::mean || s.has("pooling"))
      CHECK(s.run(in, {.pooling = pooling}).pooled.size(1) == s.model->shape().pooled_width(pooling));
  for (const auto pooling : {Pooling::first, Pooling::last})
    CHECK(apart(s.run(in, {.pooling = pooling}).pooled, out.tokens.select(1, pooling == Pooling::first ? 0 : 6)) <
          kEqual);
  CHECK(s.model->embed(s.build.own.values, text(3, 7)).sizes() == at::IntArrayRef({3, 7, d}));
  CHECK(s.model->embed(s.build.own.values, text(1, 5)[0]).sizes() == at::IntArrayRef({5, d}));
  CHECK(shape.input_vocab == kVocab);
  if (s.has("logits")) {
    const auto scores = s.model->logits(s.build.own.values, out.tokens);
    CHECK(scores.sizes() == at::IntArrayRef({3, 7, shape.classes}));
    CHECK(apart(s.model->logits(s.build.own.values, out.picked), scores.flatten(0, 1).index_select(0, at)) < kEqual);
  }
  const double once = s.model->flops(in, {.tokens = true}),
               twice = s.model->flops(s.input(text(6, 7)), {.tokens = true});
  CHECK(once >= 0);
  CHECK(twice == 2 * once);
}

void check_padding(const Subject& s) {
  const auto alone = text(1, 6);
  for (const bool causal : {false, true}) {
    if (!s.has(causal ? "causal" : "bidirectional")) continue;
    INFO(std::string(causal ? "a causal" : "a bidirectional") + " pass beside a longer item");
    const auto ids = ops::cat({ops::cat({alone, text(1, 4, 9)}, 1), text(1, 10, 5)});
    auto mask = all_true(2, 10);
    mask[0].narrow(0, 6, 4).fill_(false);
    const ForwardInput padded{.ids = ids, .mask = mask, .causal = causal}, bare{.ids = alone, .causal = causal};
    CHECK(apart(s.tokens(padded)[0].narrow(0, 0, 6), s.tokens(bare)[0]) < kEqual);
    for (const auto pooling : {Pooling::first, Pooling::mean, Pooling::last})
      CHECK(apart(s.run(padded, {.pooling = pooling}).pooled[0], s.run(bare, {.pooling = pooling}).pooled[0]) <
            kEqual);
    if (s.has("pooling"))
      CHECK(apart(s.run(padded, {.pooling = Pooling::own}).pooled[0],
                  s.run(bare, {.pooling = Pooling::own}).pooled[0]) < kEqual);
  }
}

void check_direction(const Subject& s) {
  const auto ids = text(2, 9);
  auto changed = ids.clone();
  changed.narrow(1, 5, 4).copy_((text(2, 4, 3) + 1).remainder(kVocab));
  const auto difference = [&](bool causal) {
    return (s.tokens({.ids = ids, .causal = causal}) - s.tokens({.ids = changed, .causal = causal})).abs().amax(-1);
  };
  if (s.has("causal")) {
    const auto by_place = difference(true);
    CHECK(by_place.narrow(1, 0, 5).max().item<double>() < kEqual);
    CHECK(by_place.narrow(1, 5, 4).max().item<double>() > kDifferent);
  }
  if (s.has("bidirectional")) CHECK(difference(false).narrow(1, 0, 5).max().item<double>() > kDifferent);
}

/// One kind of input that needs a capability: what it must give, or that it is refused.
void check_or_refuse(const Subject& s, const char* capability, const ForwardInput& in, const ForwardInput& same) {
  INFO("capability " << capability);
  if (s.has(capability))
    CHECK(apart(s.tokens(in), s.tokens(same)) < kEqual);
  else
    CHECK_THROWS_AS(s.tokens(in), Error);
}

void check_inputs(const Subject& s) {
  const auto ids = text(2, 8);
  const auto plain = s.input(ids);
  auto in = plain;
  in.ids = Tensor(), in.vectors = s.model->embed(s.build.own.values, ids);
  check_or_refuse(s, "vectors", in, plain);
  in = plain, in.positions = ops::arange(8, at::kLong).expand({2, 8});
  check_or_refuse(s, "positions", in, plain);

  auto some = all_true(2, 8);
  some.narrow(1, 3, 2).fill_(false);
  auto masked = plain;
  masked.mask = some;
  in = plain, in.mask = some.unsqueeze(1).expand({2, 8, 8});
  check_or_refuse(s, "masks", in, masked);
  in = plain, in.keys = ops::tensor({0, 1, 2, 5, 6, 7}, at::kLong);
  check_or_refuse(s, "keys", in, masked);
}

void check_memory(const Subject& s) {
  const auto d = s.model->shape().width;
  const auto memory = toy_normal(RandomStreams(3, "memory").stream(), {2, 5, d}, {0, 1}, at::kDouble);
  const ForwardInput in{.ids = text(2, 6), .causal = true, .memory = memory};
  if (!s.has("memory")) {
    CHECK_THROWS_AS(s.tokens(in), Error);
    return;
  }
  CHECK(apart(s.tokens(in), s.tokens({.ids = in.ids, .causal = true, .memory = memory + 1})) > kDifferent);
  auto hidden = in;
  hidden.memory = ops::cat({memory, memory.flip(1)}, 1);
  hidden.memory_mask = ops::cat({all_true(2, 5), all_true(2, 5).logical_not()}, 1);
  CHECK(apart(s.tokens(hidden), s.tokens(in)) < kEqual);
}

void check_views(const Subject& s) {
  const auto in = s.input(text(2, 6));
  const auto shape = s.model->shape();
  const auto narrow = std::max<std::int64_t>(shape.width / 2, 1);
  if (!s.has("views")) {
    CHECK_THROWS_AS(s.run(in, {.tokens = true, .view = {0, narrow}}), Error);
    return;
  }
  const auto layers = s.run(in, {.layers = true}).layers;
  for (std::int64_t n = 1; n <= shape.layers; ++n)
    CHECK(apart(s.run(in, {.tokens = true, .view = {n, 0}}).tokens, layers.at(static_cast<std::size_t>(n))) < kEqual);
  const auto slim = s.run(in, {.tokens = true, .view = {0, narrow}}).tokens;
  CHECK(apart(slim, layers.back().narrow(-1, 0, narrow)) < kEqual);
  if (s.has("logits"))
    CHECK(s.model->logits(s.build.own.values, slim).sizes() == at::IntArrayRef({2, 6, shape.classes}));
  CHECK_THROWS_AS(s.run(in, {.tokens = true, .view = {shape.layers + 1, 0}}), Error);
}

/// The same model again from what a checkpoint keeps: settings, and weights by name.
void check_restored(const Registry& registry, const Subject& s) {
  auto settings = s.model->settings();
  settings.insert_or_assign("type", s.model->type());
  Subject again(registry, settings);
  REQUIRE(again.build.own.size() == s.build.own.size());
  for (Param i = 0; i < s.build.own.size(); ++i) {
    again.build.own.values[i] = s.build.own.values[s.build.own.find(again.build.own.info[i].name)].clone();
    CHECK(again.build.own.info[i].role == s.build.own.info[i].role);
  }
  CHECK(apart(again.tokens(s.input(text(2, 8))), s.tokens(s.input(text(2, 8)))) == 0);
}

}  // namespace

void check_model(const Registry& registry, const Table& settings) {
  const auto type = *settings.at("type").as<std::string>();
  INFO("model " << to_text(settings));
  check_component(registry, Model::kInterface, type);
  const at::NoGradGuard quiet;
  const Subject subject(registry, settings);
  REQUIRE((subject.has("causal") || subject.has("bidirectional")));
  check_declared(*registry.catalogue().find(Model::kInterface, type), subject);
  check_shapes(subject);
  check_padding(subject);
  check_direction(subject);
  check_inputs(subject);
  check_memory(subject);
  check_views(subject);
  check_restored(registry, subject);
}

}  // namespace xp::testing
