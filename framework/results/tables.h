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
  std::string name;  ///< what the column is of, where TableView::cols says so; empty: the column is its path
  MetricSignature what;
  std::optional<bool> higher;  ///< which direction is better; nothing: not known, and no cell is best
};

struct TableCell {
  std::vector<std::int64_t> seeds;
  std::vector<double> values;      ///< one for each seed; NaN where a run diverged
  double mean = 0, sd = 0;         ///< sd is NaN for one value
  bool best = false;               ///< of its column
  bool differs = false;            ///< from the baseline: two-sided paired sign-flip, p <= 0.05
  std::size_t missing = 0;         ///< runs without the number; of an empty cell at least 1
  std::vector<std::size_t> notes;  ///< indices into the table's notes
};

struct TableRow {
  std::string name;   ///< arm, "arm, seed 3", stage, or the key's value
  std::string label;  ///< as shown
  std::vector<TableCell> cells;
  std::vector<std::string> settings;    ///< of a listing: one for each of the table's; empty: it has no such key
  const StudyMember* member = nullptr;  ///< of a listing; lives as long as the study
};

/// A table with its numbers, ready to be shown.
struct ResultTable {
  std::string id, title, corner;      ///< corner: what the rows are
  std::string cell;                   ///< the metric of all columns, where they are values of a key
  std::vector<std::string> settings;  ///< keys that a listing shows beside its numbers
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
  std::vector<std::string> notes;  ///< why a cell is empty or has fewer seeds
  std::size_t n = 0;               ///< values behind a cell where all have the same; else 0
  bool by_seed = false;            ///< one value in each cell, by design
  bool listing = false;            ///< a row for each run, arm and seed
  std::string baseline;            ///< label of the row that the others are tested against; empty: no test
  std::vector<std::size_t> pairs;  ///< how many seeds the tests had, each number once
  int digits = 4;                  ///< significant ones, for people
};

/// How a table is cut and shown, beyond what a recipe states.
struct TableView {
  std::string cols = {};  ///< what a column is, of the words of TableSpec::rows; the table has one metric then
  std::string baseline =
      {};  ///< name or label of the row that others are tested against; empty: the first row of arms
  std::string sort_by = {};                       ///< "COLUMN", "COLUMN:asc", "COLUMN:desc"; missing cells come last
  std::vector<std::string> keep = {}, drop = {};  ///< patterns of rows and columns; `*` stands for any characters
  int digits = 4;
  bool listing = false;       ///< a row for each run, arm and seed, with the settings in which they differ
  bool all_settings = false;  ///< those that are equal too
  bool only_changed = false;  ///< without columns whose cells are all equal
};

/// Builds a table, as a plan states it or put together on the spot. What is better comes from the claims about the
/// same metric, else from its unit. Throws Error (Exit::usage) on paths that cannot be read, on a column whose rows
/// have unlike signatures, and on a view that names what is not there.
XP_API ResultTable build_table(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims = {},
                               const TableView& view = {});

/// Cells that lack a run.
XP_API std::size_t missing_cells(const ResultTable& table);

/// "text" "md" "csv" "json" "latex".
XP_API const std::vector<std::string>& table_formats();
/// csv and json have every digit; the others as many as the table says. Throws Error (Exit::usage) on an unknown
/// format.
XP_API std::string render(const ResultTable& table, std::string_view format);

/// "3.214 ± 0.012": `digits` significant ones of the larger, the same decimals for both; whole numbers below 10^7 in
/// full.
XP_API std::string mean_text(double mean, double sd, int digits = 4);
/// Columns that a terminal needs for UTF-8 text: East Asian wide characters take two, combining marks none.
XP_API std::size_t terminal_width(std::string_view utf8);

}  // namespace xp
