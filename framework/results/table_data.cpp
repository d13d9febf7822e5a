// Tables for programs: CSV and JSON, with every digit.
#include <cmath>

#include "base/text.h"
#include "results/table_text.h"

namespace xp::detail {
namespace {

std::string csv_quoted(const std::string& raw) {
  const auto text = printable(raw);
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

Value number_or_text(double value) { return std::isfinite(value) ? Value(value) : Value(number_text(value)); }

const std::string& column_name(const TableColumn& column) {
  return column.name.empty() ? column.path.text : column.name;
}

List columns_json(const ResultTable& table) {
  List out;
  for (const auto& column : table.columns) {
    Table entry{{"path", column.path.text},
                {"unit", column.what.unit},
                {"tokenizer", column.what.tokenizer},
                {"split", column.what.split},
                {"version", column.what.version}};
    if (column.higher) entry["better"] = *column.higher ? "higher" : "lower";
    if (!column.name.empty()) entry["name"] = column.name;
    out.emplace_back(std::move(entry));
  }
  return out;
}

Table cell_json(const ResultTable& table, const TableCell& cell) {
  List seeds, values, why;
  for (const auto seed : cell.seeds) seeds.emplace_back(seed);
  for (const double value : cell.values) values.push_back(number_or_text(value));
  for (const auto index : cell.notes) why.emplace_back(table.notes[index]);
  Table out{{"seeds", std::move(seeds)}, {"values", std::move(values)}, {"best", cell.best},
            {"differs", cell.differs},   {"missing", cell.missing},     {"notes", std::move(why)}};
  if (!cell.values.empty()) out["mean"] = number_or_text(cell.mean);
  if (cell.values.size() > 1) out["sd"] = number_or_text(cell.sd);
  return out;
}

Table row_json(const ResultTable& table, const TableRow& row) {
  List cells;
  for (const auto& cell : row.cells) cells.emplace_back(cell_json(table, cell));
  Table out{{"name", row.name}, {"label", row.label}, {"cells", std::move(cells)}};
  if (!table.listing) return out;
  Table settings;
  for (std::size_t i = 0; i < table.settings.size(); ++i) settings.emplace(table.settings[i], row.settings[i]);
  out["settings"] = std::move(settings);
  out["recipe"] = row.member->recipe, out["run"] = row.member->run;
  out["arm"] = row.member->arm, out["seed"] = row.member->seed;
  return out;
}

}  // namespace

std::string as_csv(const ResultTable& table) {
  std::string out = table.listing ? "recipe,run,arm,seed" : csv_quoted(table.corner) + ",label";
  for (const auto& key : table.settings) out += "," + csv_quoted(key);
  for (const auto& column : table.columns) {
    if (table.listing) out += "," + csv_quoted(column_name(column));
    for (const auto* part : {"mean", "sd", "n"})
      if (!table.listing) out += "," + csv_quoted(column_name(column) + " " + part);
  }
  out += "\n";
  for (const auto& row : table.rows) {
    if (table.listing)
      out += csv_quoted(row.member->recipe) + "," + csv_quoted(row.member->run) + "," + csv_quoted(row.member->arm) +
             "," + std::to_string(row.member->seed);
    else
      out += csv_quoted(row.name) + "," + csv_quoted(row.label);
    for (const auto& setting : row.settings) out += "," + csv_quoted(setting);
    for (const auto& cell : row.cells) {
      out += "," + (cell.values.empty() ? "" : number_text(cell.mean));
      if (table.listing) continue;
      out += "," + (cell.values.size() < 2 ? "" : number_text(cell.sd)) + "," + std::to_string(cell.values.size());
    }
    out += "\n";
  }
  return out;
}

std::string as_json(const ResultTable& table) {
  List rows, pairs;
  for (const auto& row : table.rows) rows.emplace_back(row_json(table, row));
  Table out{{"id", table.id},
            {"title", table.title},
            {"rows_are", table.corner},
            {"columns", columns_json(table)},
            {"rows", std::move(rows)}};
  if (!table.cell.empty()) out["cell"] = table.cell;
  if (!table.baseline.empty()) {
    for (const auto n : table.pairs) pairs.emplace_back(n);
    out["test"] = Table{{"name", "two-sided paired sign-flip"}, {"against", table.baseline}, {"n", std::move(pairs)}};
  }
  return to_json(std::move(out)) + "\n";
}

}  // namespace xp::detail
