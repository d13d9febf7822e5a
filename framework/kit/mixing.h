#pragma once
// Applying and judging mixing plans: rows of a new vocabulary as weighted sums of old rows.
#include "api/parameters.h"
#include "api/vocab_initializer.h"

namespace xp {

/// A plan over one table [source or more, ...] of role `role`.
class XP_API MixedRows {
 public:
  /// Throws Error if the table has fewer rows than the plan has source tokens. `plan` must outlive this.
  MixedRows(const MixPlan& plan, const at::Tensor& table, std::string_view role);
  /// Rows [from, from + n): [n, ...] in the table's number type, sums in float64; a row that is one old row is it to
  /// the bit. Only rows that are used are read, the mean of all rows once. Rows with numbers for the role take those.
  /// Throws Error naming the row if it says nothing for the role.
  at::Tensor rows(std::int64_t from, std::int64_t n);

 private:
  const MixPlan& plan_;
  at::Tensor table_;
  std::string role_;
  std::vector<double> mean_;
};

/// All rows of the plan over the table, as MixedRows.
XP_API at::Tensor apply_plan(const MixPlan& plan, const at::Tensor& table, std::string_view role);

/// Whether the model scores tokens by a table of its own, and not by that of its input.
XP_API bool has_own_output(const Parameters& weights);
/// Makes the output table and the bias mix the row from `parts`.
XP_API void set_output_parts(MixPlan& plan, TokenId row, const std::vector<MixPart>& parts);

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
/// `copy_rules`: rules whose rows are old tokens under a new id, which add no mass. `scored_by`: role of the table
/// that scores tokens, "vocab.input" where it is the input's.
XP_API PlanReport report(const MixPlan& plan, const std::vector<std::string>& copy_rules,
                         std::string_view scored_by = "vocab.output");

/// The plan as compressed sparse rows: "row_start" [target + 1], "source", "weight", "rule" and "note" (strings),
/// "uniform" (weight of the mean of all source rows); the first three again with "." and a role where its tables mix
/// otherwise; rows given as numbers as "dense_row.<role>" (ids) and "dense.<role>" [ids, width].
XP_API State plan_state(const MixPlan& plan);

}  // namespace xp
