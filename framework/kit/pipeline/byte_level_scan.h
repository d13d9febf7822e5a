#pragma once
// Automata for the word patterns of byte-level vocabularies: next(from, end) gives the end of the match that begins
// at `from` in valid UTF-8, where nothing before `from` matters.
#include <array>
#include <cstdint>
#include <string_view>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "kit/pipeline/word_kinds.h"
#include "kit/unicode.h"

namespace xp::pipeline {

/// Kinds of characters, ASCII ones in a table that stays in the first cache.
class KindReader {
 public:
  explicit KindReader(const std::vector<std::uint8_t>& kinds = word_kinds()) : all_(kinds.data()) {
    for (std::size_t c = 0; c < 128; ++c) ascii_[c] = all_[c];
  }
  /// Of the character at `at`, which moves behind it.
  std::uint8_t take(const char*& at) const {
    const auto first = static_cast<unsigned char>(*at);
    if (first < 0x80) return ++at, ascii_[first];
    return all_[take_char(at)];
  }
  std::uint8_t peek(const char* at) const { return take(at); }
  /// The end of the run of characters of a kind that begins at `at`.
  const char* run(const char* at, const char* end, std::uint8_t kinds) const {
    for (const char* next = at; at < end; at = next)
      if ((take(next) & kinds) == 0) break;
    return at;
  }
  /// The same for letters and more `kinds`, none of them in ASCII, where most texts have their letters.
  const char* letters(const char* at, const char* end, std::uint8_t kinds = kLetterKind) const;
  /// The same for characters of none of the kinds.
  const char* run_without(const char* at, const char* end, std::uint8_t kinds) const {
    for (const char* next = at; at < end; at = next)
      if ((take(next) & kinds) != 0) break;
    return at;
  }

 private:
  const std::uint8_t* all_;
  std::array<std::uint8_t, 128> ascii_{};
};

/// What follows an apostrophe in 's, 't, 're, 've, 'm, 'll and 'd: the end of such a match at `at`, or null.
/// `any_case`: in small and capital letters, and with the long s (U+017F), which differs from s in case only.
inline const char* contraction(const char* at, const char* end, bool any_case) {
  if (end - at < 2 || *at != '\'') return nullptr;
  const auto small = [&](int i) { return any_case ? static_cast<char>(at[i] | 0x20) : at[i]; };
  switch (small(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd': return at + 2;
    case 'r':
    case 'v': return end - at > 2 && small(2) == 'e' ? at + 3 : nullptr;
    case 'l': return end - at > 2 && small(2) == 'l' ? at + 3 : nullptr;
    default: break;
  }
  const bool long_s = any_case && end - at > 2 && at[1] == '\xC5' && at[2] == '\xBF';
  return long_s ? at + 3 : nullptr;
}

/// The end of the run of ASCII letters that begins at `at`.
inline const char* ascii_letters(const char* at, const char* end) {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i from_a = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const __m128i letter = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8(25)), from_a);
    const auto others = ~static_cast<unsigned>(_mm_movemask_epi8(letter)) & 0xFFFF;
    if (others != 0) return at + __builtin_ctz(others);
  }
#endif
  while (at < end && static_cast<unsigned char>((*at | 0x20) - 'a') < 26) ++at;
  return at;
}

inline const char* KindReader::letters(const char* at, const char* end, std::uint8_t kinds) const {
  const char* const behind = ascii_letters(at, end);
  return behind == end || static_cast<unsigned char>(*behind) < 0x80 ? behind : run(behind, end, kinds);
}

/// White space by `\s+(?!\S)|\s+`: all but the last, which belongs to what follows, unless it is the only one, or
/// nothing follows: before a character of `ends` the text is over.
inline const char* blank_run(const KindReader& kinds, const char* from, const char* end, std::uint8_t ends = 0) {
  const char *last = from, *at = from;
  for (const char* next = at; at < end; at = next) {
    if (const auto kind = kinds.take(next); (kind & kBlankKind) == 0) {
      if ((kind & ends) != 0) return at;
      break;
    }
    last = at;
  }
  return at == end || last == from ? at : last;
}

/// White space by `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last line end, if there is one; `ends` as above.
inline const char* line_run(const KindReader& kinds, const char* from, const char* end, std::uint8_t ends = 0) {
  const char *last = from, *at = from, *line = nullptr;
  bool over = false;
  for (const char* next = at; at < end; at = next) {
    if (const auto kind = kinds.take(next); (kind & kBlankKind) == 0) {
      over = (kind & ends) != 0;
      break;
    }
    if (*at == '\r' || *at == '\n') line = next;
    last = at;
  }
  if (line != nullptr) return line;
  return over || at == end || last == from ? at : last;
}

/// Up to `most` characters of \p{N}.
inline const char* digit_run(const KindReader& kinds, const char* at, const char* end, int most) {
  for (const char* next = at; at < end && most > 0; at = next, --most)
    if ((kinds.take(next) & kDigitKind) == 0) break;
  return at;
}

/// Bytes of `some`, which is ASCII.
inline const char* byte_run(const char* at, const char* end, std::string_view some) {
  while (at < end && some.find(*at) != std::string_view::npos) ++at;
  return at;
}

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// `kApart`: in the texts between digits, each of which is a word.
template <bool kApart>
class Gpt2Scan {
 public:
  const char* next(const char* from, const char* end) const {
    const char* at = from;
    if (*at == '\'')
      if (const char* behind = contraction(at, end, false)) return behind;
    if (*at == ' ' && at + 1 < end) ++at;
    if (const char* behind = kinds_.letters(at, end); behind > at) return behind;
    const char* second = at;
    const auto kind = kinds_.take(second);
    if ((kind & kLetterKind) != 0) return kinds_.run(at, end, kLetterKind);
    if constexpr (kApart)
      if ((kind & kApartKind) != 0) return at == from ? second : at;
    if ((kind & kDigitKind) != 0) return kinds_.run(at, end, kDigitKind);
    if ((kind & kBlankKind) == 0) return kinds_.run_without(at, end, kLetterKind | kDigitKind | kBlankKind | kEnds);
    return blank_run(kinds_, from, end, kEnds);
  }

 private:
  static constexpr std::uint8_t kEnds = kApart ? kApartKind : 0;

  KindReader kinds_;
};

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kDigits}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ cl100k and Llama 3 with three digits, Qwen 2 with one.
/// `kLetters`: what \p{L} stands for, kMarkKind too for Qwen 3.5. `kToEnd`: `\s+\z` goes before line ends, as
/// tiktoken has it.
template <int kDigits, std::uint8_t kLetters = kLetterKind, bool kToEnd = false>
class Cl100kScan {
 public:
  const char* next(const char* from, const char* end) const {
    if (const char* behind = contraction(from, end, true)) return behind;
    if (const char* behind = kinds_.letters(from, end, kLetters); behind > from) return behind;
    const char* second = from;
    const auto kind = kinds_.take(second);
    if ((kind & kLetters) != 0) return kinds_.run(from, end, kLetters);
    if ((kind & kDigitKind) != 0) return digit_run(kinds_, from, end, kDigits);
    const bool line_end = *from == '\r' || *from == '\n';
    if (second < end && !line_end) {
      if (const char* behind = kinds_.letters(second, end, kLetters); behind > second) return behind;
      const auto following = kinds_.peek(second);
      if ((following & kLetters) != 0) return kinds_.run(second, end, kLetters);
      if (*from == ' ' && (following & kOthers) == 0) return symbols(second, end);
    }
    if ((kind & kBlankKind) == 0) return symbols(from, end);
    if constexpr (kToEnd)
      if (kinds_.run(from, end, kBlankKind) == end) return end;
    return line_run(kinds_, from, end);
  }

 private:
  static constexpr std::uint8_t kOthers = kLetters | kDigitKind | kBlankKind;

  const char* symbols(const char* at, const char* end) const {
    return byte_run(kinds_.run_without(at, end, kOthers), end, "\r\n");
  }

  KindReader kinds_;
};

/// [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], C = (?i:'s|'t|'re|'ve|'m|'ll|'d)
/// Tekken has one digit and no C.
template <int kDigits, bool kContracts>
class O200kScan {
 public:
  const char* next(const char* from, const char* end) const {
    const char* second = from;
    const auto kind = kinds_.take(second);
    if ((kind & kDigitKind) != 0) return digit_run(kinds_, from, end, kDigits);
    const bool prefix = (kind & kLetterKind) == 0 && *from != '\r' && *from != '\n';
    const char* behind = prefix ? with_small(second, end) : nullptr;
    if (behind == nullptr) behind = with_small(from, end);
    if (behind == nullptr && prefix) behind = capitals(second, end);
    if (behind == nullptr) behind = capitals(from, end);
    if (behind != nullptr) {
      const char* more = kContracts ? contraction(behind, end, true) : nullptr;
      return more != nullptr ? more : behind;
    }
    if (*from == ' ' && second < end && (kinds_.peek(second) & (kLetterKind | kDigitKind | kBlankKind)) == 0)
      return symbols(second, end);
    return (kind & kBlankKind) == 0 ? symbols(from, end) : line_run(kinds_, from, end);
  }

 private:
  static bool is_upper(std::uint8_t kind) {
    return (kind & (kLetterKind | kMarkKind)) != 0 && (kind & kLowerKind) == 0;
  }
  static bool is_lower(std::uint8_t kind) {
    return (kind & (kLetterKind | kMarkKind)) != 0 && (kind & kUpperKind) == 0;
  }

  // U*L+: the last of the first run that is in both classes ends the match if nothing small follows the run.
  const char* with_small(const char* at, const char* end) const {
    const char* both = nullptr;
    for (const char* next = at; at < end; at = next) {
      const auto kind = kinds_.take(next);
      if (!is_upper(kind)) {
        if (!is_lower(kind)) break;
        for (at = next; at < end && is_lower(kinds_.take(next)); at = next) continue;
        return at;
      }
      if (is_lower(kind)) both = next;
    }
    return both;
  }
  // U+, behind which nothing of L stands where with_small() found nothing.
  const char* capitals(const char* from, const char* end) const {
    const char* at = from;
    for (const char* next = at; at < end && is_upper(kinds_.take(next)); at = next) continue;
    return at > from ? at : nullptr;
  }
  const char* symbols(const char* at, const char* end) const {
    return byte_run(kinds_.run_without(at, end, kLetterKind | kDigitKind | kBlankKind), end, "\r\n/");
  }

  KindReader kinds_;
};

}  // namespace xp::pipeline
