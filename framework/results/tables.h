#pragma once
// Tables of means over seeds, from studies alone.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/spec.h"
#include "results/study.h"

namespace xp {

struct TableColumn {
  MetricPath path;
  MetricSignature what;
  std::optional<bool> higher;  ///< which direction is better; nothing: not known, and no cell is best
};

struct TableCell {
  std::vector<std::int64_t> seeds;
  std::vector<double> values;      ///< one for each seed; NaN where a run diverged
  double mean = 0, sd = 0;         ///< sd is NaN for one value
  bool best = false;               ///< of its column
  bool differs = false;            ///< from the first row: two-sided paired sign-flip, p <= 0.05
  std::vector<std::size_t> notes;  ///< indices into the table's notes
};

struct TableRow {
  std::string name;   ///< arm, "arm, seed 3", stage, or the key's value
  std::string label;  ///< as shown
  std::vector<TableCell> cells;
};

/// A table with its numbers, ready to be shown.
struct ResultTable {
  std::string id, title, corner;  ///< corner: what the rows are
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
  std::vector<std::string> notes;  ///< why a cell is empty or has fewer seeds
  std::size_t n = 0;               ///< values behind a cell where all have the same; else 0
  bool by_seed = false;            ///< one value in each cell, by design
};

/// Builds a table, as a plan states it or put together on the spot. What is better comes from the claims about the
/// same metric, else from its unit. Throws Error (Exit::usage) on paths that cannot be read, and on a column whose
/// rows have unlike signatures.
XP_API ResultTable build_table(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims = {});

/// "text" "md" "csv" "json" "latex".
XP_API const std::vector<std::string>& table_formats();
/// csv and json have every digit; the others 4 significant ones. Throws Error (Exit::usage) on an unknown format.
XP_API std::string render(const ResultTable& table, std::string_view format);

/// "3.214 ± 0.012": 4 significant digits of the larger, the same decimals for both; whole numbers below 10^7 in full.
XP_API std::string mean_text(double mean, double sd);
/// Columns that a terminal needs for UTF-8 text: East Asian wide characters take two, combining marks none.
XP_API std::size_t terminal_width(std::string_view utf8);

}  // namespace xp
