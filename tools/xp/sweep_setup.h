#pragma once
// What `xp sweep` and `xp worker` share: a sweep's recipe resolved, its rules, and the plugins that search.
#include <filesystem>
#include <string>

#include "program.h"
#include "sweep/folder.h"
#include "sweep/rules.h"

namespace xp::program {

struct SweepSetup {
  Catalogue catalogue;
  Plan plan;  ///< of all arms and seeds, without the axes' values
  sweep::Rules rules;
  Registry registry;  ///< with the search, the pruner and the launcher
  PruneRule prune;    ///< empty: nothing is pruned
};

/// Resolves a recipe and loads what searches; a recipe without a method gets `grid`. `workers` > 0 asks for so many
/// local ones in place of the recipe's launcher, `trials` > 0 for so many trials. Throws Error with every mistake
/// that can be seen before the first trial.
std::unique_ptr<SweepSetup> set_up_sweep(const Program& program, const RecipeOptions& options, int workers = 0,
                                         int trials = 0);
/// "engine HASH", "plugin NAME HASH" of what the plan's stages use.
std::vector<std::string> binaries_of(const SweepSetup& setup);
/// The recipe that a sweep's folder was begun with.
RecipeOptions recipe_of(const sweep::Header& header);
/// The folder named, or the newest sweep of the recipe named. Throws Error (Exit::data).
std::filesystem::path sweep_folder(const Program& program, const std::string& name);

}  // namespace xp::program
