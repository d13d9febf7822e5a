#pragma once
#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) a schedule made from these settings: finite and within [0, 1] all the way, no jump at either end,
/// a function of progress alone whatever was asked before.
void check_schedule(const Registry& registry, const Table& settings);

}  // namespace xp::testing
