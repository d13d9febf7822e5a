#pragma once
#include <string>
#include <vector>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) an objective made from these settings over the first of `models` that has the capabilities it
/// declares to need, in float64 without dropout, on random texts, words, classes and annotations, in groups of the
/// size it needs. A term for each of its counts, one number per item or one in all; a finite loss with the gradients
/// of finite differences (a few entries of every parameter); the same loss again; and the same whatever the order of
/// items, the padding, and, unless the objective says that it compares items, the split into micro-batches. Returns
/// empty, or what it needs that cannot be had here: such an objective is left to its own test.
std::string check_objective(const Registry& registry, const Table& settings, const std::vector<Table>& models);

}  // namespace xp::testing
