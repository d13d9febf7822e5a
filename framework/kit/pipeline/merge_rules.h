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

  /// Mostly there is none, and bits that stay in near caches say so.
  const Rule& find(TokenId left, TokenId right) const {
    const std::uint64_t key = key_of(left, right), hash = hash_of(key);
    if (const auto bit = hash >> bit_shift_; (bits_[bit / 64] >> bit % 64 & 1) == 0) return kNoRule;
    return rules_[place_of(key, hash)];
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
  static std::uint64_t hash_of(std::uint64_t key) { return key * 0x9E3779B97F4A7C15ull; }
  std::size_t place_of(std::uint64_t key, std::uint64_t hash) const {
    std::size_t at = hash >> shift_;
    while (rules_[at].key != key && rules_[at].key != UINT64_MAX) at = (at + 1) & mask_;
    return at;
  }
  void resize(std::size_t places);
  void apply_short(MergeWord& word) const;
  void apply_long(MergeWord& word) const;

  static constexpr int kBitsOfPlace = 3;  ///< as a power of two
  static const Rule kNoRule;

  std::vector<Rule> rules_;
  std::vector<std::uint64_t> bits_;  ///< of the hashes of all rules
  std::size_t mask_ = 0, used_ = 0;
  int shift_ = 0, bit_shift_ = 0;
};

inline constexpr MergeRules::Rule MergeRules::kNoRule{};

}  // namespace xp::pipeline
