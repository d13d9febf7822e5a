#pragma once
// [[claim]], [[table]] and [[figure]] as values: declared once, checked by the recipe reader, stored in result files.
#include <optional>
#include <string>
#include <vector>

#include "schema/fields.h"

namespace xp {

/// A negative control: an arm that must not show the gain.
struct XP_API ControlSpec {
  std::string arm;
  std::string expect = "no_gain";  ///< "no_gain": the control must not beat the baseline by more than `margin`
  double margin = 0;
  static void describe(Fields<ControlSpec>& f);
};

/// Makes a claim one about a trend.
struct XP_API SlopeSpec {
  std::string over;  ///< "log(stage.synthetic.stop)"
  static void describe(Fields<SlopeSpec>& f);
};

/// One [[claim]].
struct XP_API ClaimSpec {
  std::string id, says, paper, metric, better = "higher", arm;
  std::vector<std::string> baseline;
  std::string test;  ///< "sign_flip" "paired_t" "wilcoxon" "paired_bootstrap" "mcnemar" "exact"; empty: by unit
  std::string unit = "seed";
  double alpha = 0.05, margin = 0;
  bool primary = false, exclusive = false;
  std::optional<ControlSpec> control;
  std::optional<SlopeSpec> slope;
  std::vector<std::string> gate;  ///< "pretrain.accuracy > 0.5", must hold in every arm of the claim
  static void describe(Fields<ClaimSpec>& f);
};

/// The test that a claim uses: its own, else by unit.
XP_API std::string test_of(const ClaimSpec& claim);

/// One [[table]].
struct XP_API TableSpec {
  std::string id, title;
  std::string rows = "arm";  ///< "arm" "seed" "stage", or a key of the recipe
  std::vector<std::string> columns;
  static void describe(Fields<TableSpec>& f);
};

/// One [[figure]].
struct XP_API FigureSpec {
  std::string id, title, x, y, by = "arm";
  bool log_x = false, log_y = false;
  static void describe(Fields<FigureSpec>& f);
};

/// The specifications of a stored plan (keys "claims", "tables", "figures"); none where the key is missing. Throws
/// Error (Exit::data) on anything that to_value did not write.
XP_API std::vector<ClaimSpec> claims_from(const Value& plan);
XP_API std::vector<TableSpec> tables_from(const Value& plan);
XP_API std::vector<FigureSpec> figures_from(const Value& plan);
/// The plan's tables; without any, one of the metrics that its claims are about.
XP_API std::vector<TableSpec> shown_tables(const Value& plan);
/// One entry of those lists, as a table with every field.
XP_API Value to_value(const ClaimSpec& claim);
XP_API Value to_value(const TableSpec& table);
XP_API Value to_value(const FigureSpec& figure);

}  // namespace xp
