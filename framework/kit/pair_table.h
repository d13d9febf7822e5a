#pragma once
// A table by pairs of symbols: learning merges and applying them spend their time in looking up.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "kit/merges.h"

namespace xp {

using PairKey = std::uint64_t;

inline PairKey pair_of(SymbolId left, SymbolId right) { return PairKey{left} << 32 | right; }

/// Open addressing, at most half full. The pair of two largest ids cannot be in it.
template <class Value>
class PairTable {
 public:
  explicit PairTable(std::size_t expected = 0) { resize(std::bit_ceil(std::max<std::size_t>(16, expected * 2))); }

  Value* find(PairKey key) {
    for (std::size_t at = start(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return &slots_[at].value;
      if (slots_[at].key == kNoPair) return nullptr;
    }
  }
  const Value* find(PairKey key) const { return const_cast<PairTable*>(this)->find(key); }

  /// Its value, a new one if it is not there; good until the next call.
  Value& operator[](PairKey key) {
    if (Value* const found = find(key)) return *found;
    if (is_full()) resize(slots_.size() * 2);
    ++size_;
    return place(key, {});
  }

  /// Whether one more makes it larger.
  bool is_full() const { return (size_ + 1) * 2 > slots_.size(); }

  /// Keeps the pairs whose value says so, and room for as many again.
  template <class Keep>
  void keep_if(Keep keep) {
    std::size_t kept = 0;
    for (auto& slot : slots_) {
      if (slot.key != kNoPair && keep(slot.value))
        ++kept;
      else
        slot.key = kNoPair;
    }
    size_ = kept;
    resize(std::bit_ceil(std::max<std::size_t>(16, kept * 4)));
  }

  template <class Visit>
  void for_each(Visit visit) {
    for (auto& slot : slots_)
      if (slot.key != kNoPair) visit(slot.key, slot.value);
  }

 private:
  static constexpr PairKey kNoPair = UINT64_MAX;
  struct Slot {
    PairKey key = kNoPair;
    Value value;
  };

  std::size_t start(PairKey key) const { return (key ^ key >> 29) * 0x9E3779B97F4A7C15ull >> shift_; }

  Value& place(PairKey key, const Value& value) {
    std::size_t at = start(key);
    while (slots_[at].key != kNoPair) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {key, value};
    return slots_[at].value;
  }

  void resize(std::size_t size) {
    auto old = std::exchange(slots_, std::vector<Slot>(size));
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(size));
    for (const auto& slot : old)
      if (slot.key != kNoPair) place(slot.key, slot.value);
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  unsigned shift_ = 0;
};

}  // namespace xp
