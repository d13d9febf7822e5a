#pragma once
// What checkpoint transforms share: which parameters of several checkpoints belong together.
#include <span>

#include "api/parameters.h"

namespace xp {

/// Throws Error, naming the first parameter that differs, unless all have the type, names, roles and shapes of the
/// first. `who` opens the message.
XP_API void check_alike(std::span<const Checkpoint* const> checkpoints, std::string_view who);

/// The same models, objective and parameters (the same tensors), without training state.
XP_API Checkpoint without_state(const Checkpoint& model);

/// A checkpoint like `model` whose parameters are `values`, one for each of model.parameters.distinct(); tied
/// parameters stay tied.
XP_API Checkpoint with_values(const Checkpoint& model, const std::vector<at::Tensor>& values);

}  // namespace xp
