#pragma once
// Numbers that decide: a trial's goal, and what its training had come to at a rung.
#include <optional>
#include <string>

#include "recipe/plan.h"
#include "results/cache.h"
#include "results/run_log.h"
#include "sweep/rules.h"

namespace xp::sweep {

/// Mean of the goal over the seeds of a trial's result; NaN where a seed diverged, and where the rules have no goal.
/// Nothing if a number is missing (a reason in `why`).
XP_API std::optional<double> goal_of(const Rules& rules, const Result& result, std::string* why);

/// The stage that a pruner watches. Throws Error (Exit::usage) if the plan has none, several for one seed, or one
/// that does not stop at an amount.
XP_API std::string watched_stage(const Plan& plan, const PruneRule& rule);

/// What a curve had come to when `share` of its stage's budget was done, meaned over seeds: of each, the mean of its
/// points in the last tenth of the way there, or the last point before. Nothing if a seed has none (a reason in
/// `why`).
XP_API std::optional<double> value_at_rung(const Plan& plan, const PruneRule& rule, double share, const Cache& cache,
                                           std::string* why);

}  // namespace xp::sweep
