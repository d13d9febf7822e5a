#pragma once
// Which pieces of a vocabulary begin at a place: a double array (Aoe 1989) with one load for each character that is
// walked, and tails for what only one piece goes on with, so that most of it stays in near caches.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/export.h"

namespace xp::pipeline {

/// Any bytes are taken, in pieces and in texts: characters have labels by how often pieces have them, and what is no
/// whole character is walked byte by byte. Immutable, used from any thread.
class XP_API PieceTrie {
 public:
  /// The labels of a text, for walking it from many places, and the byte at which each begins, and the end.
  struct Labels {
    std::string_view text;
    std::vector<std::uint16_t> labels;
    std::vector<std::uint32_t> begins;
    std::size_t size = 0;  ///< labels; the lists only grow
  };
  struct Match {
    std::size_t length = 0;  ///< in bytes
    std::int32_t id = -1;    ///< -1: no piece begins there
  };

  PieceTrie() = default;
  /// Different texts and their ids, in any order; an empty text is left out. Throws Error (Exit::data) for more than
  /// the array can number.
  explicit PieceTrie(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces);

  /// The text has less than 4 GiB and must stay while the labels are used.
  void read(std::string_view text, Labels& out) const;

  /// visit(length in bytes, id) for every piece that begins at byte `at`, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, std::size_t at, Visit visit) const {
    walk(text, at, root_, at, visit);
  }
  /// The same from a label of the text: visit(length in labels, id).
  template <class Visit>
  void prefixes(const Labels& text, std::size_t at, Visit visit) const {
    const std::uint16_t* const labels = text.labels.data();
    std::uint64_t unit = root_;
    std::size_t i = at;
    while ((unit & kMore) != 0 && i < text.size) {
      unit = child(unit, labels[i++]);
      if (has_id(unit)) visit(i - at, id_of(unit));
    }
    if ((unit & kTail) == 0) return;
    if (const auto tail = tail_in(text.text, text.begins[i], unit); tail.id >= 0)
      visit(i + tail.labels - at, tail.id);
  }

  /// Whether a character beyond ASCII that some piece has whole begins at byte `at`; false behind the end.
  bool labels_character(std::string_view text, std::size_t at) const {
    return at < text.size() && step(text, at).label >= kFirstChar;
  }
  /// The longest piece that begins at byte `at`.
  Match longest(std::string_view text, std::size_t at) const {
    Match best;
    std::uint64_t unit = root_, best_unit = root_, since = 0;  // `since`: units from the best one on that were left
    std::size_t i = at;
    while ((unit & kMore) != 0 && i < text.size()) {
      const Step next = step(text, i);
      since |= unit;
      unit = child(unit, next.label);
      i += next.length;
      const bool ends = has_id(unit);
      best = {ends ? i - at : best.length, ends ? id_of(unit) : best.id};
      best_unit = ends ? unit : best_unit;
      since = ends ? 0 : since;
    }
    const auto keep = [&](std::size_t length, std::int32_t id) { best = {length, id}, since = 0; };
    if ((unit & kTail) != 0) visit_tail(text, at, i, unit, keep);
    if ((since & kBytes) != 0) walk(text, at, best_unit, at + best.length, keep);
    return best;
  }

 private:
  friend class PieceTrieBuilder;
  // A unit: where its children are, the label that leads to it, whether its one child is a tail, whether it has
  // children, whether one is a byte of a character, and an id plus one. No two units have their children at the same
  // base, so that the label alone tells whether a child is a unit's own; none has them at 0.
  static constexpr int kLabelShift = 24, kIdShift = 43;
  static constexpr std::uint64_t kBase = (std::uint64_t{1} << kLabelShift) - 1, kLabel = 0xFFFF;
  static constexpr std::uint64_t kTail = std::uint64_t{1} << 40, kMore = std::uint64_t{1} << 41,
                                 kBytes = std::uint64_t{1} << 42;
  static constexpr std::uint64_t kMostIds = (std::uint64_t{1} << (64 - kIdShift)) - 1;
  // Labels: 0 is that of free units, then what no piece has, the bytes, and characters beyond ASCII.
  static constexpr std::uint16_t kNoLabel = 1, kFirstByte = 2, kFirstChar = kFirstByte + 256;

  static constexpr std::size_t kTailStep = 4;  // bytes: units number tails by them
  // What stands before the bytes of a tail.
  struct TailHead {
    std::int32_t id = -1;
    std::uint16_t size = 0, labels = 0;
  };
  struct Step {
    std::uint16_t label, length;  ///< length: of the text that it stands for, in bytes
  };
  struct Character {
    std::uint32_t code;
    std::uint16_t length;  ///< in bytes
  };

  static bool has_id(std::uint64_t unit) { return unit >> kIdShift != 0; }
  static std::int32_t id_of(std::uint64_t unit) { return static_cast<std::int32_t>(unit >> kIdShift) - 1; }
  /// 0: there is none.
  std::uint64_t child(std::uint64_t unit, std::uint32_t label) const {
    const std::uint64_t found = units_[(unit & kBase) ^ label];
    return (found >> kLabelShift & kLabel) == label ? found : 0;
  }

  /// The code point and length of a whole character beyond ASCII; a length of 1 if there is none.
  static Character character(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const auto more = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const std::size_t left = text.size() - at;
    const std::uint32_t first = byte(0);
    if (first >= 0xE0 && first < 0xF0 && left >= 3 && more(1) && more(2)) {
      const std::uint32_t code = (first & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
      if (code >= 0x800) return {code, 3};
    } else if (first >= 0xC2 && first < 0xE0 && left >= 2 && more(1)) {
      return {(first & 0x1F) << 6 | (byte(1) & 0x3Fu), 2};
    } else if (first >= 0xF0 && first < 0xF5 && left >= 4 && more(1) && more(2) && more(3)) {
      const std::uint32_t code =
          (first & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
      if (code >= 0x10000 && code < 0x110000) return {code, 4};
    }
    return {0, 1};
  }

  /// The step from byte `at`, which is in the text.
  Step step(std::string_view text, std::size_t at) const {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto by_byte = static_cast<std::uint16_t>(kFirstByte + byte);
    if (byte < 0x80) return {by_byte, 1};
    const auto [code, length] = character(text, at);
    if (length == 1) return {by_byte, 1};
    return {code < chars_.size() ? chars_[code] : kNoLabel, length};
  }

  template <class Visit>
  void walk(std::string_view text, std::size_t at, std::uint64_t unit, std::size_t from, Visit& visit) const {
    std::size_t i = from;
    while ((unit & kMore) != 0 && i < text.size()) {
      const Step next = step(text, i);
      if ((unit & kBytes) != 0 && next.length > 1) {
        const auto whole = walk_bytes(text, at, unit, i, next.length, visit);
        if (next.label == kNoLabel) {
          unit = whole, i += next.length;
          continue;
        }
      }
      unit = child(unit, next.label);
      i += next.length;
      if (has_id(unit)) visit(i - at, id_of(unit));
    }
    if ((unit & kTail) != 0) visit_tail(text, at, i, unit, visit);
  }
  /// Pieces that end within a character; gives where all its bytes lead, 0 if they lead nowhere.
  template <class Visit>
  std::uint64_t walk_bytes(std::string_view text, std::size_t at, std::uint64_t unit, std::size_t from,
                           std::size_t length, Visit& visit) const {
    for (std::size_t i = from; i < from + length; ++i) {
      unit = child(unit, kFirstByte + static_cast<unsigned char>(text[i]));
      if (has_id(unit)) visit(i + 1 - at, id_of(unit));
      if ((unit & kTail) != 0 && i + 1 < from + length) return visit_tail(text, at, i + 1, unit, visit), 0;
    }
    return unit;
  }
  /// The tail of a unit if the text goes on with it, else one with id -1.
  TailHead tail_in(std::string_view text, std::size_t from, std::uint64_t unit) const {
    const char* const tail = tails_.data() + (unit & kBase) * kTailStep;
    TailHead head;
    std::memcpy(&head, tail, sizeof head);
    const bool fits =
        text.size() - from >= head.size && std::memcmp(text.data() + from, tail + sizeof head, head.size) == 0;
    return fits ? head : TailHead{};
  }
  template <class Visit>
  void visit_tail(std::string_view text, std::size_t at, std::size_t from, std::uint64_t unit, Visit& visit) const {
    if (const auto tail = tail_in(text, from, unit); tail.id >= 0) visit(from + tail.size - at, tail.id);
  }

  std::uint64_t root_ = 0;
  std::string tails_;
  std::vector<std::uint16_t> chars_;  ///< labels of characters beyond ASCII
  bool spells_ = false;               ///< there are more characters than labels: those without one are bytes
  std::vector<std::uint64_t> units_ = std::vector<std::uint64_t>(512);  // labels of bytes find no child here
};

}  // namespace xp::pipeline
