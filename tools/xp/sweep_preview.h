#pragma once
// What `xp sweep --dry-run` prints.
#include <string>

#include "sweep_setup.h"

namespace xp::program {

/// Trials that are known before any has run, with the keys that differ, how many stages they share, and what they
/// cost. JSON if the program was asked for it.
std::string preview(const Program& program, const RecipeOptions& options, const SweepSetup& setup);

}  // namespace xp::program
