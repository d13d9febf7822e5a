#pragma once
// Classes of 64 bytes at once, as far as they are the same whatever the settings of BertNormalizer.
#include <bit>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace xp::pipeline {

struct BertMasks {
  static constexpr int kBytes = 64;

  std::uint64_t words = 0;   ///< ASCII letters and digits: BertKind::inside
  std::uint64_t alone = 0;   ///< other visible ASCII characters: BertKind::alone
  std::uint64_t blanks = 0;  ///< blank, tab and line ends: BertKind::blank
  /// What the settings decide, and parts of characters.
  std::uint64_t others() const { return ~(words | alone | blanks); }

  static bool is_word(char c) { return is_in(static_cast<char>(c | 0x20), 'a', 'z') || is_in(c, '0', '9'); }

#if defined(__SSE2__)
  explicit BertMasks(const char* at) {
    for (int i = 0; i < kBytes; i += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i));
      const __m128i letters = is_in(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
      const __m128i word = _mm_or_si128(letters, is_in(bytes, '0', '9'));
      const __m128i ends = _mm_or_si128(is_in(bytes, '\t', '\n'), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
      const __m128i blank = _mm_or_si128(ends, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
      words |= bits(word) << i;
      alone |= bits(_mm_andnot_si128(word, is_in(bytes, '!', '~'))) << i;
      blanks |= bits(blank) << i;
    }
  }

 private:
  // Signed comparisons: bytes from 0x80 on are in no such range.
  static __m128i is_in(__m128i bytes, char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(last + 1))));
  }
  static std::uint64_t bits(__m128i bytes) { return static_cast<std::uint64_t>(_mm_movemask_epi8(bytes)); }
#else
  explicit BertMasks(const char* at) {
    for (int i = 0; i < kBytes; ++i) {
      const bool word = is_word(at[i]);
      words |= std::uint64_t{word} << i;
      alone |= std::uint64_t{!word && is_in(at[i], '!', '~')} << i;
      blanks |= std::uint64_t{at[i] == ' ' || at[i] == '\r' || is_in(at[i], '\t', '\n')} << i;
    }
  }

 private:
#endif
  static bool is_in(char c, char first, char last) { return c >= first && c <= last; }
};

}  // namespace xp::pipeline
