#include "results/table_filter.h"

#include <cmath>
#include <functional>
#include <limits>

#include "schema/quantity.h"

namespace xp::detail {
namespace {

// What a row is sorted by; rows without it come last, whatever the direction.
struct SortKey {
  bool missing = false;
  double number = 0;
  std::string text = {};
};

SortKey key_of(const std::string& text) {
  if (text.empty()) return {true};
  const auto quantity = parse_quantity(text);
  return quantity ? SortKey{false, quantity->amount} : SortKey{false, std::numeric_limits<double>::infinity(), text};
}

struct SortBy {
  std::function<SortKey(const TableRow&)> key;
  bool higher_first = false;
};

SortBy sort_by(const ResultTable& table, const std::string& name) {
  std::vector<std::string> known{table.corner};
  if (name == table.corner) return {[](const TableRow& row) { return key_of(row.label); }};
  for (std::size_t i = 0; i < table.settings.size(); ++i) {
    known.push_back(table.settings[i]);
    if (name == known.back()) return {[i](const TableRow& row) { return key_of(row.settings[i]); }};
  }
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const auto& column = table.columns[i];
    known.push_back(column.name.empty() ? column.path.text : column.name);
    if (name != known.back()) continue;
    return {[i](const TableRow& row) {
              const double mean = row.cells[i].mean;
              return std::isnan(mean) ? SortKey{true} : SortKey{false, mean};
            },
            column.higher.value_or(false)};
  }
  const auto near = nearest(name, known);
  throw Error("the table has no column " + backquoted(printable(name)) + " to sort by" +
                  (near ? "; did you mean " + backquoted(*near) + "?" : "; it has " + listed(known)),
              Exit::usage);
}

}  // namespace

std::size_t row_named(const ResultTable& table, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    if (table.rows[i].name == name || table.rows[i].label == name) return i;
    names.push_back(table.rows[i].name);
  }
  const auto near = nearest(name, names);
  throw Error("the table has no row " + backquoted(printable(name)) +
                  (near ? "; did you mean " + backquoted(*near) + "?" : "; it has " + listed(names)),
              Exit::usage);
}

void sort_rows(ResultTable& table, const std::string& by) {
  auto name = by;
  std::optional<bool> higher_first;
  for (const auto& [ending, higher] : {std::pair{":asc", false}, std::pair{":desc", true}})
    if (by.ends_with(ending)) {
      name.resize(name.size() - std::string_view(ending).size());
      higher_first = higher;
    }
  const auto order = sort_by(table, name);
  const bool down = higher_first.value_or(order.higher_first);
  std::stable_sort(table.rows.begin(), table.rows.end(), [&](const TableRow& a, const TableRow& b) {
    const auto left = order.key(a), right = order.key(b);
    if (left.missing || right.missing) return !left.missing && right.missing;
    const auto less = [](const SortKey& x, const SortKey& y) {
      return x.number != y.number ? x.number < y.number : x.text < y.text;
    };
    return down ? less(right, left) : less(left, right);
  });
}

}  // namespace xp::detail
