#pragma once
// Where words of byte-level vocabularies begin in 64 bytes at once, as far as they are ASCII.
#include <algorithm>
#include <bit>

#include "kit/pipeline/byte_block.h"
#include "kit/pipeline/byte_level_scan.h"

namespace xp::pipeline {

/// Begins of words in a block of text whose first byte begins one, by the automaton of the same pattern.
struct WordStarts {
  std::uint64_t bits = 0;  ///< none from `known` on
  int known = 0;           ///< bytes for which `bits` says all
};

namespace detail {

inline std::uint64_t below(int n) { return n < 64 ? (std::uint64_t{1} << n) - 1 : ~std::uint64_t{0}; }

/// The first of each run.
inline std::uint64_t firsts(std::uint64_t runs) { return runs & ~(runs << 1); }

/// How many bytes say all about themselves: what a blank at the end of the block or before a character beyond ASCII
/// belongs to depends on what follows. `size`: bytes of text in the block; the text ends there.
inline int known_bytes(std::uint64_t high, int size) {
  if (high != 0) return std::max(0, std::min(std::countr_zero(high), size) - 1);
  return size < ByteBlock::kBytes ? size : ByteBlock::kBytes - 1;
}

}  // namespace detail

/// What the patterns see in a block. Behind `size` bytes of text, where that is less than 64, blanks must stand.
struct AsciiRuns {
  AsciiRuns(const char* at, int size)
      : block(at),
        letters(block.letters().bits()),
        digits(block.in('0', '9').bits()),
        spaces(block.equal(' ').bits()),
        blanks(spaces | block.in('\t', '\r').bits()),
        others(~(letters | digits | blanks)),
        known(detail::known_bytes(block.high().bits(), size)) {}
  /// Behind a space, which begins the word.
  std::uint64_t spaced() const { return spaces << 1; }
  /// All blanks of a run but the last are a word; the last is the next word's, or one by itself.
  std::uint64_t last_blanks() const { return blanks & ~(blanks >> 1); }

  ByteBlock block;
  std::uint64_t letters, digits, spaces, blanks, others;
  int known;
};

/// Cuts contractions off what follows: `bits` has a begin at each apostrophe that may be one.
inline void cut_contractions(WordStarts& to, const AsciiRuns& runs, const char* at, int size, bool any_case) {
  const auto quotes = runs.block.equal('\'').bits() & (runs.letters >> 1) & to.bits & detail::below(to.known);
  for (auto left = quotes; left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    if (size == ByteBlock::kBytes && i + 3 > to.known) {
      to.known = i + 1;
      break;
    }
    const char* const behind = contraction(at + i, at + size, any_case);
    if (behind == nullptr) continue;
    to.bits &= ~(std::uint64_t{2} << i);
    if (behind < at + size) to.bits |= std::uint64_t{1} << (behind - at);
  }
  to.bits &= detail::below(to.known);
}

/// Of Gpt2Scan.
template <bool kApart>
WordStarts gpt2_starts(const char* at, int size) {
  const AsciiRuns runs(at, size);
  const auto firsts = detail::firsts(runs.letters) | detail::firsts(runs.others);
  WordStarts out{1 | detail::firsts(runs.blanks), runs.known};
  if constexpr (kApart)
    out.bits |= runs.digits | (firsts & ~runs.spaced()) | (runs.last_blanks() & ~(runs.digits >> 1));
  else
    out.bits |= ((firsts | detail::firsts(runs.digits)) & ~runs.spaced()) | runs.last_blanks();
  cut_contractions(out, runs, at, size, false);
  return out;
}

/// What Cl100kScan and O200kScan have in common, without contractions; what line ends belong to is left to them.
template <int kDigits>
WordStarts split_starts(const AsciiRuns& runs) {
  const auto lines = (runs.block.equal('\n') | runs.block.equal('\r')).bits();
  // A letter takes a blank before it, or a symbol that neither has one beside it nor belongs to a space.
  const auto symbols = detail::firsts(runs.others) & ~runs.spaced();
  const auto alone = symbols & ~(runs.others >> 1);
  auto digits = kDigits == 1 ? runs.digits : detail::firsts(runs.digits);
  if constexpr (kDigits > 1) {
    auto inside = ~std::uint64_t{0};  // of a run, kDigits - 1 before it too
    for (int i = 0; i < kDigits; ++i) inside &= runs.digits << i;
    for (auto next = digits; (next = (next << kDigits) & inside) != 0;) digits |= next;
  }
  const auto letters = detail::firsts(runs.letters) & ~((runs.blanks | alone) << 1);
  return {1 | detail::firsts(runs.blanks) | runs.last_blanks() | symbols | digits | letters,
          std::min(runs.known, std::countr_zero(lines))};
}

/// Of Cl100kScan.
template <int kDigits>
WordStarts cl100k_starts(const char* at, int size) {
  const AsciiRuns runs(at, size);
  auto out = split_starts<kDigits>(runs);
  cut_contractions(out, runs, at, size, true);
  return out;
}

/// Of O200kScan: a capital begins a word behind a small letter, and contractions end the word before them.
inline WordStarts o200k_starts(const char* at, int size) {
  const AsciiRuns runs(at, size);
  auto out = split_starts<3>(runs);
  const auto capitals = runs.block.in('A', 'Z').bits();
  out.bits |= capitals & ((runs.letters & ~capitals) << 1);
  const auto quotes = runs.block.equal('\'').bits() & (runs.letters << 1) & (runs.letters >> 1);
  int done = 0;  // bytes up to the end of the last contraction, which takes no other
  for (auto left = quotes & detail::below(out.known); left != 0; left &= left - 1) {
    const int i = std::countr_zero(left);
    if (size == ByteBlock::kBytes && i + 3 > out.known) {
      out.known = i;  // even whether a word begins here is not known
      break;
    }
    const char* const behind = i == done ? nullptr : contraction(at + i, at + size, true);
    if (behind == nullptr) continue;
    done = static_cast<int>(behind - at);
    out.bits &= ~(detail::below(done) & ~detail::below(i));
    if (done < size) out.bits |= std::uint64_t{1} << done;
  }
  out.bits &= detail::below(out.known);
  return out;
}

}  // namespace xp::pipeline
