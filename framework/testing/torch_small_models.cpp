#include "testing/torch_small_models.h"

#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>

#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace xp::testing {

namespace {

FixtureSpec small_spec(std::uint64_t seed, int layers) {
  FixtureSpec s;
  s.seed = seed;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", layers}, {"width", 16},           {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.2},   {"norm_position", "pre"}};
  s.objective = {{"type", "mlm"}, {"mask_rate", 0.3}};
  s.optimizer = {{"type", "adamw"}};
  return s;
}

}  // namespace

Checkpoint small_checkpoint(std::uint64_t seed, int steps, const Checkpoint* start, int layers) {
  const auto spec = small_spec(seed, layers);
  Fixture f(registry(), spec, start);
  for (int i = 0; i < steps; ++i)
    f.accumulate({f.load(random_texts(spec, 8, 1, seed * 1000 + static_cast<std::uint64_t>(i)))}), f.update();
  return f.exported();
}

Checkpoint transformed(const Table& settings, const std::vector<const Checkpoint*>& inputs, const Checkpoint* base) {
  const auto method = registry().make<CheckpointTransform>(settings);
  std::vector<double> start;
  for (const auto& one : method->coefficients(inputs.size())) start.push_back(one.start);
  return method->apply(inputs, base, ops::tensor(start), RandomStreams(0));
}

at::Tensor small_logits(const Checkpoint& checkpoint) {
  const at::NoGradGuard quiet;
  Fixture f(registry(), small_spec(1, 2), &checkpoint);
  const auto ids = ops::arange(25, 45, at::kLong).unsqueeze(0);
  const auto& w = f.weights("primary").values;
  return f.model("primary").logits(w, f.model("primary").forward(w, {.ids = ids}, {.tokens = true}).tokens);
}

double parameter_difference(const Checkpoint& a, const Checkpoint& b) {
  REQUIRE(a.parameters.size() == b.parameters.size());
  double most = 0;
  for (Param i = 0; i < a.parameters.size(); ++i) {
    REQUIRE(a.parameters.values[i].sizes() == b.parameters.values[i].sizes());
    most = std::max(most, (a.parameters.values[i] - b.parameters.values[i]).abs().max().item<double>());
  }
  return most;
}

}  // namespace xp::testing
