#pragma once
#include <string>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) an evaluator made from these settings on a small model of fixed numbers that can do everything,
/// and documents in two languages with groups, labels, one right member of each group, and an annotated word. What it
/// records is what it declares: the same metrics with the same units, each finite, and the split that they come from;
/// the same numbers again, from another instance too, and for every batch size. Fields that want a dataset need not
/// be given. Returns empty, or what the evaluator requires that cannot be had here: such a one is left to its own
/// test.
std::string check_evaluator(const Registry& registry, Table settings);

}  // namespace xp::testing
