#pragma once
// Classes of characters as the word patterns of byte-level vocabularies use them (Unicode 16, as Oniguruma has it).
#include <cstdint>
#include <vector>

namespace xp::pipeline {

enum WordKind : std::uint8_t {
  kLetterKind = 1,   ///< \p{L}
  kDigitKind = 2,    ///< \p{N}
  kBlankKind = 4,    ///< \s
  kUpperKind = 8,    ///< \p{Lu}, \p{Lt}
  kLowerKind = 16,   ///< \p{Ll}
  kMarkKind = 32,    ///< \p{M}
  kSymbolKind = 64,  ///< \p{P}, \p{S}
  kApartKind = 128,  ///< what the pre-tokenizer Digits sets apart, by Unicode 17
};

/// By character up to U+10FFFF.
const std::vector<std::uint8_t>& word_kinds();

}  // namespace xp::pipeline
