// Tables for papers and pages: Markdown and LaTeX.
#include <cctype>
#include <set>

#include "base/text.h"
#include "results/table_text.h"

namespace xp::detail {
namespace {

std::string md_escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (std::string_view("\\|*_`[]<>").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
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
  for (const auto& [from, to] :
       {std::pair{"±", "$\\pm$"}, std::pair{"†", "$^\\dagger$"}, std::pair{"–", "--"}, std::pair{"<=", "$\\le$"}})
    for (auto at = out.find(from); at != std::string::npos; at = out.find(from, at + std::string_view(to).size()))
      out.replace(at, std::string_view(from).size(), to);
  return out;
}

// A row that begins with a bracket or a star would be read as an option of the line before it.
std::string tex_row_label(const std::string& label) {
  const auto text = tex_escaped(label);
  return text.starts_with('[') || text.starts_with('*') ? "{" + text + "}" : text;
}

// "top10-share" -> "TopOneZeroShare": names of TeX macros have letters only.
std::string camel_letters(std::string_view text) {
  constexpr std::string_view kDigits[] = {"Zero", "One", "Two",   "Three", "Four",
                                          "Five", "Six", "Seven", "Eight", "Nine"};
  std::string out;
  bool up = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalpha(byte))
      out += up ? static_cast<char>(std::toupper(byte)) : c;
    else if (c >= '0' && c <= '9')
      out += kDigits[c - '0'];
    up = !(byte < 0x80 && std::isalpha(byte));
  }
  return out;
}

// 0 -> "A", 26 -> "BA".
std::string letters(std::size_t number) {
  std::string out(1, static_cast<char>('A' + number % 26));
  for (number /= 26; number > 0; number /= 26) out.insert(out.begin(), static_cast<char>('A' + number % 26));
  return out;
}

class MacroNames {
 public:
  std::string take(const std::string& wanted) {
    auto name = wanted;
    for (std::size_t i = 1; !taken_.insert(name).second; ++i) name = wanted + letters(i);
    return name;
  }

 private:
  std::set<std::string> taken_;
};

std::string caption(const ResultTable& table) {
  auto out = tex_escaped(table_title(table));
  if (!out.empty()) out += ".";
  for (const auto& line : legend(table, "Bold")) out += (out.empty() ? "" : " ") + tex_escaped(line);
  return out;
}

// A label may hold anything but what TeX reads as its own.
std::string tex_label(const std::string& id) {
  std::string out;
  for (const char c : id)
    out += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? std::string(1, c) : "-";
  return "tab:" + out;
}

}  // namespace

std::string as_markdown(const ResultTable& table) {
  const auto title = table_title(table);
  std::string out = title.empty() ? "" : "**" + md_escaped(title) + "**\n\n";
  out += "| " + md_escaped(table.corner) + " |";
  for (const auto& key : table.settings) out += " " + md_escaped(key) + " |";
  for (const auto& column : table.columns) out += " " + md_escaped(column_title(column)) + " |";
  out += "\n|---|";
  for (std::size_t i = 0; i < table.settings.size(); ++i) out += "---|";
  for (std::size_t i = 0; i < table.columns.size(); ++i) out += "---:|";
  out += "\n";
  for (const auto& row : table.rows) {
    out += "| " + md_escaped(row.label) + " |";
    for (const auto& setting : row.settings) out += " " + md_escaped(setting) + " |";
    for (const auto& cell : row.cells) {
      const auto text = cell_text(table, cell);
      out += " " + (cell.best ? "**" + text + "**" : text) + (cell.differs ? "†" : "") +
             md_escaped(note_marks(cell)) + " |";
    }
    out += "\n";
  }
  for (const auto& lines : {legend(table, "Bold"), note_lines(table)})
    for (const auto& line : lines) out += "\n" + md_escaped(line) + "\n";
  return out;
}

std::string as_latex(const ResultTable& table) {
  std::string macros, body;
  MacroNames names;
  for (const auto& row : table.rows) {
    body += tex_row_label(row.label);
    for (const auto& setting : row.settings) body += " & " + tex_escaped(setting);
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const auto& cell = row.cells[i];
      const auto& column = table.columns[i];
      const auto name = "\\xp" + names.take(camel_letters(table.id) + camel_letters(row.name) +
                                            camel_letters(column.name.empty() ? column.path.text : column.name));
      macros += "\\newcommand{" + name + "}{" + tex_escaped(cell_text(table, cell)) + "}\n";
      body += " & " + (cell.best ? "\\textbf{" + name + "}" : name) + tex_escaped(cell.differs ? "†" : "");
      if (!cell.notes.empty()) body += "$^{" + tex_escaped(note_marks(cell)).substr(1) + "}$";
    }
    body += " \\\\\n";
  }
  std::string head = tex_escaped(table.corner);
  for (const auto& key : table.settings) head += " & " + tex_escaped(key);
  for (const auto& column : table.columns) head += " & " + tex_escaped(column_title(column));
  std::string notes;
  for (const auto& line : note_lines(table)) notes += "\\par{\\footnotesize " + tex_escaped(line) + "}\n";
  return "% needs \\usepackage{booktabs}; each number is a macro that the text may use\n" + macros +
         "\\begin{table}\n\\centering\n\\caption{" + caption(table) + "}\n\\label{" + tex_label(table.id) +
         "}\n\\begin{tabular}{l" + std::string(table.settings.size(), 'l') + std::string(table.columns.size(), 'r') +
         "}\n\\toprule\n" + head + " \\\\\n\\midrule\n" + body + "\\bottomrule\n\\end{tabular}\n" + notes +
         "\\end{table}\n";
}

}  // namespace xp::detail
