#pragma once
#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) an optimizer made from these settings on small float32 tensors: a policy that makes sense; tensors
/// without gradient left alone; nothing moved by zero gradients without decay; learning rates scaled by the group; a
/// quadratic that falls; state shaped like its tensor, none before the first update; the same next steps, to the bit,
/// after state was saved and loaded; state of other tensors refused.
void check_optimizer(const Registry& registry, const Table& settings);

}  // namespace xp::testing
