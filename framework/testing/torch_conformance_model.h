#pragma once
#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) a model made from these settings, alone and in float64. Shapes of all that can be asked for;
/// padding and other items change nothing; a causal pass knows nothing of later tokens, a bidirectional one does;
/// calls are pure; vectors, masks, positions, keys, memory and views mean what model.h says where the model has the
/// capability and are refused where it has not; what capabilities() says is declared; the same settings and weights
/// give the same model.
void check_model(const Registry& registry, const Table& settings);

}  // namespace xp::testing
