#pragma once
// Small trained checkpoints, for tests of what combines or changes checkpoints.
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>

#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "api/parameters.h"
#include "kit/torch_operators.h"
#include "plugin/registry.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace xp::testing {

inline FixtureSpec small_spec(std::uint64_t seed, int layers) {
  FixtureSpec s;
  s.seed = seed;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", layers}, {"width", 16},           {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.2},   {"norm_position", "pre"}};
  s.objective = {{"type", "mlm"}, {"mask_rate", 0.3}};
  s.optimizer = {{"type", "adamw"}};
  return s;
}

/// A transformer encoder of this many layers after `steps` of masked language modelling; `start` to go on from one.
inline Checkpoint small_checkpoint(std::uint64_t seed, int steps, const Checkpoint* start = nullptr, int layers = 2) {
  const auto spec = small_spec(seed, layers);
  Fixture f(registry(), spec, start);
  for (int i = 0; i < steps; ++i)
    f.accumulate({f.load(random_texts(spec, 8, 1, seed * 1000 + static_cast<std::uint64_t>(i)))}), f.update();
  return f.exported();
}

/// What a checkpoint transform with these settings and its starting coefficients makes of `inputs`; `base` may be
/// null.
inline Checkpoint transformed(const Table& settings, const std::vector<const Checkpoint*>& inputs,
                              const Checkpoint* base = nullptr) {
  const auto method = registry().make<CheckpointTransform>(settings);
  std::vector<double> start;
  for (const auto& one : method->coefficients(inputs.size())) start.push_back(one.start);
  return method->apply(inputs, base, ops::tensor(start), RandomStreams(0));
}

/// Logits of such a model for a fixed text: [1, time, classes].
inline at::Tensor small_logits(const Checkpoint& checkpoint) {
  const at::NoGradGuard quiet;
  Fixture f(registry(), small_spec(1, 2), &checkpoint);
  const auto ids = ops::arange(25, 45, at::kLong).unsqueeze(0);
  const auto& w = f.weights("primary").values;
  return f.model("primary").logits(w, f.model("primary").forward(w, {.ids = ids}, {.tokens = true}).tokens);
}

/// Largest difference of any parameter. REQUIREs the same shapes.
inline double parameter_difference(const Checkpoint& a, const Checkpoint& b) {
  REQUIRE(a.parameters.size() == b.parameters.size());
  double most = 0;
  for (Param i = 0; i < a.parameters.size(); ++i) {
    REQUIRE(a.parameters.values[i].sizes() == b.parameters.values[i].sizes());
    most = std::max(most, (a.parameters.values[i] - b.parameters.values[i]).abs().max().item<double>());
  }
  return most;
}

}  // namespace xp::testing
