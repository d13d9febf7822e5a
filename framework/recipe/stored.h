#pragma once
// An experiment as its result file keeps it: enough to run it again without the recipe's folder.
#include "plugin/registry.h"
#include "recipe/plan.h"
#include "results/run_log.h"

namespace xp {

/// What resolve() takes to get the result's plan again: its files, and what was laid over them. Folders of plugins
/// that it names are not trusted. Throws Error (Exit::data) if the result does not hold its recipe's files.
XP_API ResolveOptions stored_experiment(const Result& result);

/// Throws Error unless `plan`, resolved from stored_experiment(), is the experiment that the result was made of:
/// Exit::data if a dataset or an outside model holds something else, with both digests; Exit::plugin if plugins, the
/// engine or LibTorch are others, unless `any_build`; Exit::usage, with the first lines that differ, if anything else
/// of the plan does.
XP_API void check_same_experiment(const Result& result, const Plan& plan, const Catalogue& catalogue, bool any_build);

namespace recipe {

/// Plan::overrides: "set" "unset" "arms" "seeds" "smoke" "processes" "sweep".
Table overrides_table(const ResolveOptions& options);

}  // namespace recipe
}  // namespace xp
