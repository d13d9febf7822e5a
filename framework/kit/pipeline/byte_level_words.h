#pragma once
// Words of byte-level vocabularies one behind the other, in blocks where a pattern has them.
#include <algorithm>
#include <cstring>

#include "kit/pipeline/byte_level_starts.h"

namespace xp::pipeline {
namespace detail {

/// Whether one of the next characters is not ASCII: the automaton is faster then.
inline bool is_mixed(const char* at, std::ptrdiff_t left) {
  std::uint64_t next = 0;
  std::memcpy(&next, at, static_cast<std::size_t>(std::min<std::ptrdiff_t>(left, sizeof next)));
  return (next & 0x8080808080808080u) != 0;
}

/// Puts the words of the next bytes that certainly end there; gives where to go on.
template <class Scan, class Put>
const char* put_block(const char* at, const char* end, const Put& put) {
  const auto left = end - at;
  const bool last = left < ByteBlock::kBytes;
  char padded[ByteBlock::kBytes];
  if (last) {
    std::memset(padded, ' ', sizeof padded);
    std::memcpy(padded, at, static_cast<std::size_t>(left));
  }
  const auto size = last ? static_cast<int>(left) : ByteBlock::kBytes;
  const WordStarts starts = Scan::starts(last ? padded : at, size);
  const char* from = at;
  for (auto bits = starts.bits & ~std::uint64_t{1}; bits != 0; bits &= bits - 1) {
    const char* const next = at + std::countr_zero(bits);
    put(from, next);
    from = next;
  }
  if (starts.known != left) return from;
  put(from, end);
  return end;
}

}  // namespace detail

/// put(from, to) for each word of valid UTF-8.
template <class Scan, class Put>
void each_word(const Scan& scan, const char* at, const char* end, const Put& put) {
  while (at < end) {
    if constexpr (requires { Scan::starts(at, 0); }) {
      const char* const known = detail::is_mixed(at, end - at) ? at : detail::put_block<Scan>(at, end, put);
      if (known > at) {
        at = known;
        continue;
      }
    }
    const char* const behind = scan.next(at, end);
    put(at, behind);
    at = behind;
  }
}

template <bool kApart>
struct Gpt2Words : Gpt2Scan<kApart> {
  static WordStarts starts(const char* at, int size) { return gpt2_starts<kApart>(at, size); }
};

}  // namespace xp::pipeline
