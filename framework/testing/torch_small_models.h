#pragma once
// Small trained checkpoints, for tests of what combines or changes checkpoints.
#include "api/parameters.h"
#include "plugin/registry.h"

namespace xp::testing {

/// A transformer encoder of this many layers after `steps` of masked language modelling; `start` to go on from one.
Checkpoint small_checkpoint(std::uint64_t seed, int steps, const Checkpoint* start = nullptr, int layers = 2);

/// What a checkpoint transform with these settings and its starting coefficients makes of `inputs`; `base` may be
/// null.
Checkpoint transformed(const Table& settings, const std::vector<const Checkpoint*>& inputs,
                       const Checkpoint* base = nullptr);

/// Logits of such a model for a fixed text: [1, time, classes].
at::Tensor small_logits(const Checkpoint& checkpoint);

/// Largest difference of any parameter. REQUIREs the same shapes.
double parameter_difference(const Checkpoint& a, const Checkpoint& b);

}  // namespace xp::testing
