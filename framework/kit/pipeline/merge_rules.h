#pragma once
// The merges of a BPE model, looked up by pairs of ids, and their application to one word.
#include <cstdint>
#include <vector>

#include "api/tokenizer.h"

namespace xp::pipeline {

/// The symbols of a word; those that were merged into another are left out by apply().
struct MergeWord {
  std::vector<TokenId> ids;
  std::vector<std::uint32_t> lengths;  ///< in bytes
  void clear() { ids.clear(), lengths.clear(); }
  void add(TokenId id, std::uint32_t length) { ids.push_back(id), lengths.push_back(length); }
};

class MergeRules {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Rule {
    std::uint64_t key = UINT64_MAX;
    std::uint32_t rank = kNone;  ///< kNone: there is no rule
    TokenId result = 0;
  };

  MergeRules();
  void reserve(std::size_t rules);
  /// A pair that was there gets the new rank and result.
  void set(TokenId left, TokenId right, std::uint32_t rank, TokenId result);

  /// Applies the rule of the lowest rank at its leftmost place until none is left: n log n for n symbols.
  /// `growing`: the text of a result is always longer than its parts', so that ids tell outdated queue entries.
  void apply(MergeWord& word, bool growing) const;

  const Rule& find(TokenId left, TokenId right) const {
    const std::uint64_t key = key_of(left, right);
    std::size_t at = (key * 0x9E3779B97F4A7C15ull) >> shift_;
    while (rules_[at].key != key && rules_[at].key != UINT64_MAX) at = (at + 1) & mask_;
    return rules_[at];
  }
  /// visit(left, right, rule) for every rule, in no order.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& rule : rules_)
      if (rule.key != UINT64_MAX) visit(static_cast<TokenId>(rule.key >> 32), static_cast<TokenId>(rule.key), rule);
  }

 private:
  static std::uint64_t key_of(TokenId left, TokenId right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }
  void resize(std::size_t places);
  void apply_short(MergeWord& word) const;
  void apply_long(MergeWord& word) const;

  std::vector<Rule> rules_;
  std::size_t mask_ = 0, used_ = 0;
  int shift_ = 0;
};

}  // namespace xp::pipeline
