// Tables as text, and what all their formats share.
#include "results/table_text.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "results/statistics.h"

namespace xp {
namespace {

constexpr std::size_t kWidestSetting = 40;  // characters of a setting that a terminal shows

std::string printed(double value, int decimals) {
  std::array<char, 400> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*f", decimals, value);
  return buffer.data();
}

std::string note_mark(std::size_t index) { return "[" + std::to_string(index + 1) + "]"; }

std::string form_text(const MetricPath& path) {
  switch (path.form) {
    case CurveForm::none: return {};
    case CurveForm::final: return "final";
    case CurveForm::best: return "best";
    case CurveForm::area: return "area(over=" + path.over + ")";
    case CurveForm::at: return "at(" + path.over + "=" + number_text(path.at) + ")";
  }
  return {};
}

// "adapt" / "bits_per_byte.bits" / "at(tokens=0)" / "bits/byte": a path is too wide for one line.
std::vector<std::string> heading(const TableColumn& column) {
  const auto& path = column.path;
  const std::string unit = column.what.unit.empty() ? "" : "(" + column.what.unit + ")";
  if (!column.name.empty()) return {column.name, unit};
  if (!path.parts.empty()) {
    std::vector<std::string> lines{"mean of"};
    for (const auto& part : path.parts) lines.push_back(part.text);
    return lines.push_back(unit), lines;
  }
  return {path.stage, path.name + (path.view.empty() ? "" : "[" + path.view + "]"), form_text(path), unit};
}

// "stage.transfer.initializer.rank" as "transfer" / "initializer.rank".
std::vector<std::string> setting_heading(const std::string& key) {
  const auto name = key.starts_with("stage.") ? key.substr(6) : key;
  const auto point = name.find('.', name.starts_with("dataset.") ? 8 : 0);
  if (point == std::string::npos) return {name, ""};
  return {name.substr(0, point), name.substr(point + 1), ""};
}

template <class Test>
bool any_cell(const ResultTable& table, Test test) {
  for (const auto& row : table.rows)
    if (std::any_of(row.cells.begin(), row.cells.end(), test)) return true;
  return false;
}

// "over 6 seeds", "over 4 to 6 seeds".
std::string over_pairs(const std::vector<std::size_t>& pairs) {
  if (pairs.empty()) return "no common seeds";
  const auto most = count(pairs.back(), "seed");
  return "over " + (pairs.size() > 1 ? std::to_string(pairs.front()) + " to " + most : most);
}

std::string test_line(const ResultTable& table) {
  const auto test = "(two-sided paired sign-flip " + over_pairs(table.pairs) + ", p <= 0.05, each by itself)";
  if (detail::any_differs(table)) return "†: differs from " + printable(table.baseline) + " " + test + ".";
  auto line = "No cell differs from " + printable(table.baseline) + " " + test;
  if (table.pairs.empty()) return line + ".";
  const double least = std::min(1.0, 2 * smallest_p("sign_flip", table.pairs.back()));
  return line + (least > 0.05 ? "; so few seeds give no p below " + number_text(least) : "") + ".";
}

std::string padded(const std::string& text, std::size_t width) {
  const auto used = terminal_width(text);
  return text + std::string(width > used ? width - used : 0, ' ');
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string shortened(const std::string& text) {
  return display_width(text) > kWidestSetting ? utf8_slice(text, 0, kWidestSetting - 1) + "…" : text;
}

// The lines of all headings; the last line has the units and what rows are.
std::vector<std::vector<std::string>> heading_rows(const ResultTable& table) {
  std::vector<std::vector<std::string>> heads;
  for (const auto& key : table.settings) heads.push_back(setting_heading(key));
  for (const auto& column : table.columns) heads.push_back(heading(column));
  std::size_t lines = 1;
  for (const auto& head : heads) lines = std::max(lines, head.size());
  std::vector<std::vector<std::string>> grid;
  for (std::size_t line = 0; line < lines; ++line) {
    const bool last = line + 1 == lines;
    std::vector<std::string> row{last ? printable(table.corner) : ""};
    for (const auto& head : heads)
      row.push_back(printable(last ? head.back() : line + 1 < head.size() ? head[line] : ""));
    if (std::any_of(row.begin(), row.end(), [](const std::string& text) { return !text.empty(); }))
      grid.push_back(std::move(row));
  }
  return grid;
}

std::string as_text(const ResultTable& table) {
  auto grid = heading_rows(table);
  const auto heads = grid.size();
  const bool daggers = detail::any_differs(table);
  for (const auto& row : table.rows) {
    grid.push_back({printable(row.label)});
    for (const auto& setting : row.settings) grid.back().push_back(shortened(printable(setting)));
    for (const auto& cell : row.cells)
      grid.back().push_back(detail::cell_text(table, cell) + (cell.best ? "*" : " ") +
                            (cell.differs ? "†"
                             : daggers    ? " "
                                          : "") +
                            detail::note_marks(cell));
  }
  const auto title = detail::table_title(table);
  std::string out = (title.empty() ? "" : printable(title) + "\n") + detail::text_grid(grid, heads);
  for (const auto& line : detail::legend(table, "*")) out += line + "\n";
  for (const auto& line : detail::note_lines(table)) out += line + "\n";
  return out;
}

}  // namespace

namespace detail {

std::string column_title(const TableColumn& column) {
  return (column.name.empty() ? column.path.text : column.name) +
         (column.what.unit.empty() ? "" : " (" + column.what.unit + ")");
}

std::string table_title(const ResultTable& table) {
  if (table.cell.empty() || table.title.empty()) return table.title.empty() ? table.cell : table.title;
  return table.title + ": " + table.cell;
}

std::string cell_text(const ResultTable& table, const TableCell& cell) {
  if (cell.values.empty()) return "–";
  auto text = mean_text(cell.mean, cell.values.size() > 1 ? cell.sd : std::nan(""), table.digits);
  if (table.n == 0 && !table.by_seed) text += " (n = " + std::to_string(cell.values.size()) + ")";
  return text;
}

std::string note_marks(const TableCell& cell) {
  std::string text;
  for (const auto index : cell.notes) text += " " + note_mark(index);
  return text;
}

std::vector<std::string> legend(const ResultTable& table, const std::string& best) {
  std::vector<std::string> lines;
  std::string first;
  if (!table.by_seed && table.n > 1) first = "Mean ± standard deviation over " + std::to_string(table.n) + " seeds.";
  if (!table.by_seed && table.n == 0 && !table.rows.empty()) first = "Mean ± standard deviation over n seeds.";
  if (!table.by_seed && table.n == 1) first = "One seed.";
  if (any_cell(table, [](const TableCell& cell) { return cell.best; }))
    first += (first.empty() ? "" : " ") + best + ": best of the column.";
  if (!first.empty()) lines.push_back(first);
  if (!table.baseline.empty()) lines.push_back(test_line(table));
  return lines;
}

std::vector<std::string> note_lines(const ResultTable& table) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < table.notes.size(); ++i)
    lines.push_back(note_mark(i) + " " + printable(table.notes[i]) + ".");
  return lines;
}

bool any_differs(const ResultTable& table) {
  return any_cell(table, [](const TableCell& cell) { return cell.differs; });
}

std::string text_grid(const std::vector<std::vector<std::string>>& rows, std::size_t heads) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], terminal_width(row[i]));
  }
  std::size_t total = widths.empty() ? 0 : 2 * (widths.size() - 1);
  for (const auto width : widths) total += width;
  std::string rule, out;
  for (std::size_t i = 0; i < total; ++i) rule += "─";
  for (std::size_t line = 0; line < rows.size(); ++line) {
    if (heads > 0 && line == heads) out += rule + "\n";
    std::string text;
    for (std::size_t i = 0; i < rows[line].size(); ++i)
      text += (i > 0 ? "  " : "") + padded(rows[line][i], widths[i]);
    out += trimmed(std::move(text));
  }
  return out;
}

}  // namespace detail

std::string mean_text(double mean, double sd, int digits) {
  const bool spread = std::isfinite(sd);
  if (!std::isfinite(mean)) return number_text(mean);
  const double size = std::max(std::abs(mean), spread ? sd : 0);
  constexpr double kWhole = 1e7;
  if ((!spread || sd == 0) && size < kWhole && mean == std::floor(mean))
    return printed(mean, 0) + (spread ? " ± 0" : "");
  if (size == 0) return spread ? "0 ± 0" : "0";
  const int exponent = static_cast<int>(std::floor(std::log10(size)));
  if (exponent < -4 || exponent > 6) {
    const double scale = std::pow(10.0, exponent);
    const auto power = "e" + std::to_string(exponent);
    return spread ? "(" + printed(mean / scale, digits - 1) + " ± " + printed(sd / scale, digits - 1) + ")" + power
                  : printed(mean / scale, digits - 1) + power;
  }
  const int decimals = std::max(0, digits - 1 - exponent);
  return printed(mean, decimals) + (spread ? " ± " + printed(sd, decimals) : "");
}

std::size_t terminal_width(std::string_view utf8) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < utf8.size();) {
    UChar32 c = 0;
    U8_NEXT(utf8.data(), i, utf8.size(), c);
    if (c < 0) {
      ++width;
      continue;
    }
    const auto type = u_charType(c);
    if (type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK || type == U_FORMAT_CHAR) continue;
    const auto wide = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
    width += wide == U_EA_WIDE || wide == U_EA_FULLWIDTH ? 2 : 1;
  }
  return width;
}

const std::vector<std::string>& table_formats() {
  static const std::vector<std::string> kFormats{"text", "md", "csv", "json", "latex"};
  return kFormats;
}

std::string render(const ResultTable& table, std::string_view format) {
  if (format == "text") return as_text(table);
  if (format == "md") return detail::as_markdown(table);
  if (format == "csv") return detail::as_csv(table);
  if (format == "json") return detail::as_json(table);
  if (format == "latex") return detail::as_latex(table);
  const auto near = nearest(format, table_formats());
  throw Error("there is no table format " + backquoted(format) +
                  (near ? "; did you mean " + backquoted(*near) + "?" : "; formats are " + listed(table_formats())),
              Exit::usage);
}

}  // namespace xp
