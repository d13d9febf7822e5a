#pragma once
// The words of DeepSeek's byte-level vocabularies, which three patterns cut one after the other.
#include "kit/pipeline/byte_level_scan.h"

namespace xp::pipeline {

/// \p{N}{1,3}, then [一-龥぀-ゟ゠-ヿ]+, then in what is left between those
/// ASCII punctuation [A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|
/// \s*[\r\n]+|\s+(?!\S)|\s+ and what none of them matches, as long as it is.
class DeepseekScan {
 public:
  const char* next(const char* from, const char* end) const {
    const char* second = from;
    const auto kind = kinds_.take(second);
    if ((kind & kDigitKind) != 0) return digit_run(kinds_, from, end, 3);
    if ((kind & kApartKind) != 0) return kinds_.run(from, end, kApartKind);
    if ((kind & kLetters) != 0) return kinds_.letters(from, end, kLetters);
    if ((kind & kSymbolKind) != 0) {
      const bool ascii = static_cast<unsigned char>(*from) < 0x80;
      const char* const behind = ascii ? ascii_letters(second, end) : second;
      return behind > second ? behind : symbols(from, end);
    }
    const auto following = second < end ? kinds_.peek(second) : std::uint8_t{0};
    if (*from != '\r' && *from != '\n' && (following & kLetters) != 0) return kinds_.letters(second, end, kLetters);
    if (*from == ' ' && (following & kSymbolKind) != 0) return symbols(second, end);
    return (kind & kBlankKind) != 0 ? line_run(kinds_, from, end, kEnds) : unmatched(second, end);
  }

 private:
  static constexpr std::uint8_t kLetters = kLetterKind | kMarkKind, kEnds = kDigitKind | kApartKind;
  static constexpr std::uint8_t kMatched = kLetters | kSymbolKind | kBlankKind | kEnds;

  // Kinds by character, where what the second pattern sets apart is of kApartKind only.
  static const std::vector<std::uint8_t>& kinds() {
    static const auto kinds = [] {
      auto out = word_kinds();
      for (auto& kind : out) kind &= static_cast<std::uint8_t>(~kApartKind);
      for (std::size_t c = 0x4E00; c <= 0x9FA5; ++c) out[c] = kApartKind;
      for (std::size_t c = 0x3040; c <= 0x30FF; ++c) out[c] = kApartKind;
      return out;
    }();
    return kinds;
  }

  const char* symbols(const char* at, const char* end) const {
    return byte_run(kinds_.run(at, end, kSymbolKind), end, "\r\n");
  }
  // A character that is of no kind begins a match if a letter follows.
  const char* unmatched(const char* at, const char* end) const {
    for (const char* next = at; at < end; at = next) {
      if ((kinds_.take(next) & kMatched) != 0) break;
      if (next < end && (kinds_.peek(next) & kLetters) != 0) break;
    }
    return at;
  }

  KindReader kinds_{kinds()};
};

}  // namespace xp::pipeline
