#pragma once
// Rows and columns of a table that are kept, and the order of its rows.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/text.h"
#include "results/tables.h"

namespace xp::detail {

/// Patterns over the names of rows and columns. One of `keep` restricts the list in which it finds something: rows,
/// numbers or settings; one of `drop` takes out what it fits.
class TableFilter {
 public:
  TableFilter(const std::vector<std::string>& keep, const std::vector<std::string>& drop)
      : keep_(keep), drop_(drop) {}

  /// `names_of` gives the names that an item goes by.
  template <class Item, class NamesOf>
  void apply(std::vector<Item>& items, NamesOf names_of) {
    if (keep_.empty() && drop_.empty()) return;
    std::vector<bool> kept, dropped;
    for (const auto& item : items) {
      const std::vector<std::string> names = names_of(item);
      kept.push_back(fits_one(names, keep_)), dropped.push_back(fits_one(names, drop_));
      known_.push_back(names.front());
    }
    const bool restricts = std::find(kept.begin(), kept.end(), true) != kept.end();
    std::size_t at = 0;
    std::erase_if(items, [&](const Item&) {
      const auto i = at++;
      return dropped[i] || (restricts && !kept[i]);
    });
  }

  /// Throws Error (Exit::usage) if a pattern fitted nothing.
  void finish() const {
    for (const auto* patterns : {&keep_, &drop_})
      for (const auto& pattern : *patterns)
        if (!used_.contains(pattern))
          throw Error(backquoted(printable(pattern)) + " fits no row and no column; there is " + listed(known_),
                      Exit::usage);
  }

 private:
  bool fits_one(const std::vector<std::string>& names, const std::vector<std::string>& patterns) {
    bool any = false;
    for (const auto& pattern : patterns)
      if (std::any_of(names.begin(), names.end(), [&](const std::string& name) { return fits(name, pattern); }))
        any = true, used_.insert(pattern);
    return any;
  }

  const std::vector<std::string>&keep_, &drop_;
  std::set<std::string> used_;
  std::vector<std::string> known_;
};

/// The row with this name or label; throws Error (Exit::usage).
std::size_t row_named(const ResultTable& table, const std::string& name);

/// "COLUMN", "COLUMN:asc" or "COLUMN:desc" of a number, a setting or the rows' labels; without a direction the best
/// first, or the lowest where none is better. Throws Error (Exit::usage).
void sort_rows(ResultTable& table, const std::string& by);

}  // namespace xp::detail
