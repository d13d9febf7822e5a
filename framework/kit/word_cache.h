#pragma once
// Words and the pieces that a model cut them into, for encoders that many threads share.
#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// A piece of a word and where it ends, in bytes of the word.
struct CutPiece {
  std::int32_t id = 0;
  std::uint32_t end = 0;
  bool operator==(const CutPiece&) const = default;
};

/// Bounded: a word takes the place of another with the same hash. Safe to use from any thread.
class XP_API WordCache {
 public:
  static constexpr std::size_t kMaxWord = 64;  ///< longer words are not kept, in bytes

  explicit WordCache(std::size_t places = std::size_t{1} << 14);  ///< rounded up to a power of two
  /// Appends the word's pieces to `out`; false if it is not there.
  bool find(std::string_view word, std::vector<CutPiece>& out) const;
  void keep(std::string_view word, const CutPiece* pieces, std::size_t n);

 private:
  struct Place {
    std::string word;
    std::vector<CutPiece> pieces;
  };
  std::size_t place_of(std::string_view word) const {
    return std::hash<std::string_view>{}(word) & (places_.size() - 1);
  }
  std::mutex& lock_of(std::size_t place) const { return locks_[place % locks_.size()]; }

  std::vector<Place> places_;
  mutable std::array<std::mutex, 64> locks_;
};

}  // namespace xp
