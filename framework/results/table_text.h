#pragma once
// What all formats of a table say alike.
#include <string>
#include <vector>

#include "results/tables.h"

namespace xp::detail {

/// Whether more is better: by the claims about the same metric, else by its unit; nothing where neither says so.
std::optional<bool> direction_of(const MetricPath& path, const MetricSignature& what,
                                 const std::vector<ClaimSpec>& claims);

/// "adapt.bits_per_byte.bits.final (bits/byte)", or the value that the column is of.
std::string column_title(const TableColumn& column);
/// The title, with the metric where columns are values of a key; may be empty.
std::string table_title(const ResultTable& table);
/// What stands in a cell, without marks.
std::string cell_text(const ResultTable& table, const TableCell& cell);
/// " [1] [3]": the notes of a cell.
std::string note_marks(const TableCell& cell);
/// What numbers and marks mean, a sentence or two each; `best` is how the format shows the best cell.
std::vector<std::string> legend(const ResultTable& table, const std::string& best);
/// "[1] why a number is missing."
std::vector<std::string> note_lines(const ResultTable& table);
bool any_differs(const ResultTable& table);

/// Lines of equal columns for a terminal: the first `heads` rows are headings, a rule follows them.
std::string text_grid(const std::vector<std::vector<std::string>>& rows, std::size_t heads);

std::string as_markdown(const ResultTable& table);
std::string as_latex(const ResultTable& table);
std::string as_csv(const ResultTable& table);
std::string as_json(const ResultTable& table);

}  // namespace xp::detail
