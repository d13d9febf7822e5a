#pragma once
// Applying and judging mixing plans: rows of a new vocabulary as weighted sums of old rows.
#include "api/parameters.h"
#include "api/vocab_initializer.h"

namespace xp {

/// The plan's rows over one table [source or more, ...] of role `role`: [target, ...] in the table's number type,
/// sums in float64; a row that is one old row is it to the bit. Only rows that are used are read. Every row must be
/// set; rows with numbers for the role take those. Throws Error naming the row otherwise.
XP_API at::Tensor apply_plan(const MixPlan& plan, const at::Tensor& table, std::string_view role);

/// What can be said of a plan before any forward pass (vocab_initializers.md 2.7).
struct PlanReport {
  /// log(1 + max_j c_j) with c_j the mass that new rows put on source j where tokens are scored: by how much the loss
  /// on old tokens can rise at most, for any hidden state. Only if every new row is convex.
  std::optional<double> leak_bound;
  double hubness = 0;       ///< share of the new rows' mass on the ten most used sources
  std::int64_t copied = 0;  ///< rows with one part of weight 1 set by a copying rule
  std::int64_t made = 0;    ///< other rows
  std::map<std::string, std::int64_t> rules;
};
/// `copy_rules`: rules whose rows are old tokens under a new id, which add no mass.
XP_API PlanReport report(const MixPlan& plan, const std::vector<std::string>& copy_rules);

/// The plan as compressed sparse rows: "row_start" [target + 1], "source", "weight", "rule" (strings), "uniform" (1:
/// the mean of all source rows); the first three again with "." and a role where its tables mix otherwise; rows given as
/// numbers as "dense_row.<role>" (ids) and "dense.<role>" [ids, width].
XP_API State plan_state(const MixPlan& plan);

}  // namespace xp
