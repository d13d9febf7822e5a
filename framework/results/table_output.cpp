// Tables as text, Markdown, CSV, JSON and LaTeX.
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "results/tables.h"

namespace xp {
namespace {

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
  if (!path.parts.empty()) {
    std::vector<std::string> lines{"mean of"};
    for (const auto& part : path.parts) lines.push_back(part.text);
    return lines.push_back(unit), lines;
  }
  return {path.stage, path.name + (path.view.empty() ? "" : "[" + path.view + "]"), form_text(path), unit};
}

std::string title_of(const TableColumn& column) {
  return column.path.text + (column.what.unit.empty() ? "" : " (" + column.what.unit + ")");
}

// What stands in a cell, without marks for the best one.
std::string body(const ResultTable& table, const TableCell& cell) {
  if (cell.values.empty()) return "–";
  auto text = mean_text(cell.mean, cell.values.size() > 1 ? cell.sd : std::nan(""));
  if (table.n == 0 && !table.by_seed) text += " (n = " + std::to_string(cell.values.size()) + ")";
  return text;
}

std::string notes_of(const TableCell& cell) {
  std::string text;
  for (const auto index : cell.notes) text += " " + note_mark(index);
  return text;
}

bool any(const ResultTable& table, bool TableCell::*flag) {
  for (const auto& row : table.rows)
    for (const auto& cell : row.cells)
      if (cell.*flag) return true;
  return false;
}

// Lines below a table; `best` is how the format shows the best cell.
std::vector<std::string> legend(const ResultTable& table, const std::string& best) {
  std::vector<std::string> lines;
  std::string first;
  if (!table.by_seed && table.n > 1) first = "Mean ± standard deviation over " + std::to_string(table.n) + " seeds.";
  if (!table.by_seed && table.n == 0 && !table.rows.empty()) first = "Mean ± standard deviation over n seeds.";
  if (!table.by_seed && table.n == 1) first = "One seed.";
  if (any(table, &TableCell::best)) first += (first.empty() ? "" : " ") + best + ": best of the column.";
  if (!first.empty()) lines.push_back(first);
  if (any(table, &TableCell::differs))
    lines.push_back("†: differs from " + table.rows[0].label +
                    " (two-sided paired sign-flip, p <= 0.05, each by itself).");
  for (std::size_t i = 0; i < table.notes.size(); ++i) lines.push_back(note_mark(i) + " " + table.notes[i] + ".");
  return lines;
}

std::string padded(const std::string& text, std::size_t width) {
  const auto used = terminal_width(text);
  return text + std::string(width > used ? width - used : 0, ' ');
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string as_text(const ResultTable& table) {
  std::vector<std::vector<std::string>> heads;
  std::size_t lines = 1;
  for (const auto& column : table.columns)
    heads.push_back(heading(column)), lines = std::max(lines, heads.back().size());
  std::vector<std::vector<std::string>> grid;  // the first cell of a line is its label
  for (std::size_t line = 0; line < lines; ++line) {
    std::vector<std::string> row{line + 1 == lines ? table.corner : ""};
    // The unit stands in the last line of every heading.
    for (const auto& head : heads)
      row.push_back(line + 1 == lines ? head.back() : line + 1 < head.size() ? head[line] : "");
    if (std::any_of(row.begin(), row.end(), [](const std::string& text) { return !text.empty(); }))
      grid.push_back(row);
  }
  const auto head_lines = grid.size();
  const bool daggers = any(table, &TableCell::differs);
  for (const auto& row : table.rows) {
    grid.push_back({printable(row.label)});
    for (const auto& cell : row.cells)
      grid.back().push_back(body(table, cell) + (cell.best ? "*" : " ") +
                            (cell.differs ? "†"
                             : daggers    ? " "
                                          : "") +
                            notes_of(cell));
  }
  std::vector<std::size_t> widths(table.columns.size() + 1);
  for (const auto& row : grid)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], terminal_width(row[i]));
  std::string out = table.title.empty() ? "" : table.title + "\n";
  std::size_t total = 2 * table.columns.size();
  for (const auto width : widths) total += width;
  std::string rule;
  for (std::size_t i = 0; i < total; ++i) rule += "─";
  for (std::size_t line = 0; line < grid.size(); ++line) {
    if (line == head_lines) out += rule + "\n";
    std::string text;
    for (std::size_t i = 0; i < grid[line].size(); ++i)
      text += (i > 0 ? "  " : "") + padded(grid[line][i], widths[i]);
    out += trimmed(std::move(text));
  }
  for (const auto& line : legend(table, "*")) out += line + "\n";
  return out;
}

std::string md_escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (std::string_view("\\|*_`[]<>").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string as_md(const ResultTable& table) {
  std::string out = table.title.empty() ? "" : "**" + md_escaped(table.title) + "**\n\n";
  out += "| " + md_escaped(table.corner) + " |";
  for (const auto& column : table.columns) out += " " + md_escaped(title_of(column)) + " |";
  out += "\n|---|";
  for (std::size_t i = 0; i < table.columns.size(); ++i) out += "---:|";
  out += "\n";
  for (const auto& row : table.rows) {
    out += "| " + md_escaped(row.label) + " |";
    for (const auto& cell : row.cells) {
      const auto text = body(table, cell);
      out += " " + (cell.best ? "**" + text + "**" : text) + (cell.differs ? "†" : "") + md_escaped(notes_of(cell)) +
             " |";
    }
    out += "\n";
  }
  for (const auto& line : legend(table, "Bold")) out += "\n" + md_escaped(line) + "\n";
  return out;
}

std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string as_csv(const ResultTable& table) {
  std::string out = csv_quoted(table.corner) + ",label";
  for (const auto& column : table.columns)
    for (const auto* part : {"mean", "sd", "n"}) out += "," + csv_quoted(column.path.text + " " + part);
  out += "\n";
  for (const auto& row : table.rows) {
    out += csv_quoted(row.name) + "," + csv_quoted(row.label);
    for (const auto& cell : row.cells) {
      out += "," + (cell.values.empty() ? "" : number_text(cell.mean));
      out += "," + (cell.values.size() < 2 ? "" : number_text(cell.sd)) + "," + std::to_string(cell.values.size());
    }
    out += "\n";
  }
  return out;
}

Value number_or_text(double value) { return std::isfinite(value) ? Value(value) : Value(number_text(value)); }

std::string as_json(const ResultTable& table) {
  List columns, rows, notes;
  for (const auto& column : table.columns) {
    Table entry{{"path", column.path.text},
                {"unit", column.what.unit},
                {"tokenizer", column.what.tokenizer},
                {"split", column.what.split},
                {"version", column.what.version}};
    if (column.higher) entry["better"] = *column.higher ? "higher" : "lower";
    columns.emplace_back(std::move(entry));
  }
  for (const auto& row : table.rows) {
    List cells;
    for (const auto& cell : row.cells) {
      List seeds, values, why;
      for (const auto seed : cell.seeds) seeds.emplace_back(seed);
      for (const double value : cell.values) values.push_back(number_or_text(value));
      for (const auto index : cell.notes) why.emplace_back(table.notes[index]);
      Table entry{{"seeds", std::move(seeds)},
                  {"values", std::move(values)},
                  {"best", cell.best},
                  {"differs", cell.differs},
                  {"notes", std::move(why)}};
      if (!cell.values.empty()) entry["mean"] = number_or_text(cell.mean);
      if (cell.values.size() > 1) entry["sd"] = number_or_text(cell.sd);
      cells.emplace_back(std::move(entry));
    }
    rows.emplace_back(Table{{"name", row.name}, {"label", row.label}, {"cells", std::move(cells)}});
  }
  return to_json(Table{{"id", table.id},
                       {"title", table.title},
                       {"rows_are", table.corner},
                       {"columns", std::move(columns)},
                       {"rows", std::move(rows)}}) +
         "\n";
}

std::string tex_escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '\\')
      out += "\\textbackslash{}";
    else if (c == '~')
      out += "\\textasciitilde{}";
    else if (c == '^')
      out += "\\textasciicircum{}";
    else if (std::string_view("&%$#_{}").find(c) != std::string_view::npos)
      out += std::string("\\") + c;
    else
      out += c;
  }
  for (const auto& [from, to] : {std::pair{"±", "$\\pm$"}, std::pair{"†", "$^\\dagger$"}, std::pair{"–", "--"}})
    for (auto at = out.find(from); at != std::string::npos; at = out.find(from, at + std::string_view(to).size()))
      out.replace(at, std::string_view(from).size(), to);
  return out;
}

std::string as_latex(const ResultTable& table) {
  std::string out = "% needs \\usepackage{booktabs}\n\\begin{tabular}{l" + std::string(table.columns.size(), 'r') +
                    "}\n\\toprule\n";
  out += tex_escaped(table.corner);
  for (const auto& column : table.columns) out += " & " + tex_escaped(title_of(column));
  out += " \\\\\n\\midrule\n";
  for (const auto& row : table.rows) {
    out += tex_escaped(row.label);
    for (const auto& cell : row.cells) {
      const auto text = tex_escaped(body(table, cell));
      out += " & " + (cell.best ? "\\textbf{" + text + "}" : text) + tex_escaped(cell.differs ? "†" : "");
      if (!cell.notes.empty()) out += "$^{" + std::string(tex_escaped(notes_of(cell))).substr(1) + "}$";
    }
    out += " \\\\\n";
  }
  out += "\\bottomrule\n\\end{tabular}\n";
  for (const auto& line : legend(table, "Bold")) out += "\n" + tex_escaped(line) + "\n";
  return out;
}

}  // namespace

std::string mean_text(double mean, double sd) {
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
    return spread ? "(" + printed(mean / scale, 3) + " ± " + printed(sd / scale, 3) + ")" + power
                  : printed(mean / scale, 3) + power;
  }
  const int decimals = std::max(0, 3 - exponent);
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
  if (format == "md") return as_md(table);
  if (format == "csv") return as_csv(table);
  if (format == "json") return as_json(table);
  if (format == "latex") return as_latex(table);
  const auto near = nearest(format, table_formats());
  throw Error("there is no table format " + backquoted(format) +
                  (near ? "; did you mean " + backquoted(*near) + "?" : "; formats are " + listed(table_formats())),
              Exit::usage);
}

}  // namespace xp
