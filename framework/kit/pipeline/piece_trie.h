#pragma once
// Which pieces of a vocabulary begin at a byte: a double array (Aoe 1989) with one load for each byte that is walked,
// and tails for what only one piece goes on with, so that most of it stays in near caches.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/export.h"

namespace xp::pipeline {

/// Immutable, used from any thread.
class XP_API PieceTrie {
 public:
  PieceTrie() = default;
  /// Different texts and their ids, in any order; an empty text is left out. Throws Error (Exit::data) for more than
  /// the array can number.
  explicit PieceTrie(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces);

  /// visit(length in bytes, id) for every piece that begins at byte `at`, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, std::size_t at, Visit visit) const {
    std::uint64_t unit = root_;
    for (std::size_t i = at; i < text.size(); ++i) {
      const std::uint64_t byte = static_cast<unsigned char>(text[i]);
      unit = units_[(unit & kBase) ^ byte];
      if ((unit >> kLabelShift & 0x1FF) != (byte | kUsed)) return;
      if ((unit >> kIdShift) != 0) visit(i + 1 - at, static_cast<std::int32_t>(unit >> kIdShift) - 1);
      if ((unit & kTail) != 0) return visit_tail(text, at, i + 1, unit & kBase, visit);
    }
  }

 private:
  friend class PieceTrieBuilder;
  // A unit: where its children are, the byte that leads to it, whether it is taken, whether its one child is a tail,
  // and an id plus one. No two units have their children at the same base, so that the byte alone tells whether a
  // child is a unit's own.
  static constexpr int kLabelShift = 27, kIdShift = 37;
  static constexpr std::uint64_t kBase = (std::uint64_t{1} << kLabelShift) - 1, kUsed = 0x100;
  static constexpr std::uint64_t kTail = std::uint64_t{1} << 36;
  static constexpr std::uint64_t kMostIds = std::uint64_t{1} << (64 - kIdShift);

  // What stands before the bytes of a tail.
  struct TailHead {
    std::int32_t id = 0;
    std::uint32_t size = 0;
  };

  template <class Visit>
  void visit_tail(std::string_view text, std::size_t at, std::size_t from, std::size_t tail, Visit& visit) const {
    TailHead head;
    std::memcpy(&head, tails_.data() + tail, sizeof head);
    if (text.size() - from < head.size) return;
    if (std::memcmp(text.data() + from, tails_.data() + tail + sizeof head, head.size) == 0)
      visit(from + head.size - at, head.id);
  }

  std::uint64_t root_ = 0;
  std::string tails_;
  std::vector<std::uint64_t> units_ = std::vector<std::uint64_t>(256);  // the first 256 are nobody's children
};

}  // namespace xp::pipeline
