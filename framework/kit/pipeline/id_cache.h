#pragma once
// Words and their ids, for one thread: what FastIds looks words up in.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "api/tokenizer.h"

namespace xp::pipeline {

/// Bounded: a word takes the place of one that was used longer ago. Words of up to 15 bytes with up to three ids are
/// found by one comparison of 16 bytes in one cache line.
class IdCache {
 public:
  static constexpr std::size_t kMostWord = 255;  ///< longer ones are not kept, in bytes
  static constexpr std::size_t kInline = 3;      ///< ids that find() writes whatever the word has

  /// What find() looks for, made once for a word.
  struct Key {
    std::uint64_t low = 0, high = 0;  ///< its bytes and length, or of longer words two hashes
    std::uint64_t hash = 0;
  };

  explicit IdCache(std::size_t most_places = std::size_t{1} << 20);

  /// `readable`: bytes that may be read from where the word begins, at least its own.
  static Key key_of(const char* word, std::size_t size, std::size_t readable) {
    if (size > 15) return long_key(word, size);
    std::uint64_t parts[2] = {0, 0};
    if (readable >= 16) {
      std::memcpy(parts, word, 16);
      const auto bits = 8 * size;
      parts[0] &= size < 8 ? (std::uint64_t{1} << bits) - 1 : ~std::uint64_t{0};
      parts[1] &= size <= 8 ? 0 : (std::uint64_t{1} << (bits - 64)) - 1;
    } else {
      std::memcpy(parts, word, size);
    }
    parts[1] |= std::uint64_t{size} << 56;
    return {parts[0], parts[1], mixed(parts[0], parts[1])};
  }

  /// Writes the word's ids to `to`, which has room for kInline, and gives their number; for more than that the ids
  /// are in more(). -1: the word is not there. Called for each word of a text: inline, whatever else is compiled with
  /// it.
  [[gnu::always_inline]] int find(const Key& key, std::string_view word, TokenId* to) {
    Place* pair = &places_[key.hash & mask_ & ~std::uint64_t{1}];
    if (pair[0].low != key.low || pair[0].high != key.high) {
      if (pair[1].low != key.low || pair[1].high != key.high) return -1;
      std::swap(pair[0], pair[1]);
    }
    std::memcpy(to, pair[0].ids, sizeof pair[0].ids);
    if (pair[0].n <= kInline && word.size() <= 15) return static_cast<int>(pair[0].n);
    return find_more(pair[0], word, to);
  }
  const TokenId* more() const { return more_; }
  /// To be called some words before find(): the table is larger than the nearest caches.
  void expect(const Key& key) const { __builtin_prefetch(&places_[key.hash & mask_ & ~std::uint64_t{1}]); }

  void keep(const Key& key, std::string_view word, const TokenId* ids, std::size_t n);

 private:
  struct alignas(32) Place {
    std::uint64_t low = 0, high = 0;
    TokenId ids[kInline] = {};  ///< or in the first, where the pool has the word and its ids
    std::uint32_t n = 0;
  };

  static std::uint64_t mixed(std::uint64_t low, std::uint64_t high) {
    __extension__ using Wide = unsigned __int128;
    const auto product = static_cast<Wide>(low ^ 0x9E3779B97F4A7C15u) * (high ^ 0xD6E8FEB86659FD93u);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  static Key long_key(const char* word, std::size_t size);
  int find_more(const Place& place, std::string_view word, TokenId* to);
  void grow();

  struct Release {
    void operator()(Place* places) const { std::free(places); }
  };
  void make(std::size_t places);

  std::unique_ptr<Place[], Release> places_;
  std::uint64_t mask_ = 0;
  std::size_t most_places_, kept_ = 0;
  std::vector<TokenId> pool_;  ///< of words in it: their bytes, padded, then their ids
  const TokenId* more_ = nullptr;
};

}  // namespace xp::pipeline
