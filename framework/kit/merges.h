#pragma once
// Byte-pair merges: learning them from counted words, and applying them. Sennrich et al. 2016, "Neural machine
// translation of rare words with subword units", algorithm 1.
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

using SymbolId = std::uint32_t;

struct Merge {
  SymbolId left = 0, right = 0, result = 0;
  auto operator<=>(const Merge&) const = default;
};

/// Counted words as symbols: word i is symbols[begins[i], begins[i + 1]).
struct SymbolWords {
  std::vector<SymbolId> symbols;
  std::vector<std::uint64_t> begins{0};
  std::vector<std::int64_t> counts;

  void end_word(std::int64_t count) { begins.push_back(symbols.size()), counts.push_back(count); }
};

struct LearnedMerges {
  std::vector<std::string> symbols;  ///< those that were given, then one for each new text
  std::vector<Merge> merges;         ///< in the order of learning
};

struct MergeLimits {
  std::size_t symbols = 0;               ///< stop when there are so many
  std::int64_t min_count = 2;            ///< a pair that occurs less often is never merged
  std::size_t max_bytes = 0;             ///< longest text of a symbol; 0: no limit
  std::set<std::string> forbidden = {};  ///< texts that no symbol may get
};

/// Merges the pair of neighbours with the highest count, again and again; of pairs with equal counts the one with the
/// smallest left symbol, then the smallest right symbol. A pair is counted at every position (aaa has two of aa) and
/// replaced from left to right. `join` gives the text of a merged symbol; two merges may lead to one text.
XP_API LearnedMerges learn_merges(std::vector<std::string> symbols, SymbolWords words, const MergeLimits& limits,
                                  const std::function<std::string(const std::string&, const std::string&)>& join);

/// A table of merges: the earliest learned is applied first, at its leftmost place.
class XP_API MergeTable {
 public:
  explicit MergeTable(const std::vector<Merge>& merges);
  ~MergeTable();
  MergeTable(MergeTable&&) noexcept;

  /// Merges until nothing can be merged; n log n for n symbols. `lengths` go along and are added up.
  void apply(std::vector<SymbolId>& symbols, std::vector<std::uint32_t>& lengths) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xp
