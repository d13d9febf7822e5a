#pragma once
// Characters as the tokenizers library sees them: each of its parts uses tables of another Unicode version. ICU's
// data are cut to what that version knew, and generated tables (unicode_tables.inc) hold what ICU does not know.
#include <unicode/uniset.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xp::pipeline {

/// Classes of one character, all in one byte.
enum CharClass : std::uint8_t {
  kSpace = 1,        ///< White_Space
  kNumber = 2,       ///< general categories N*, of Unicode 17
  kPunctuation = 4,  ///< P* of Unicode 8, and the ASCII symbols
  kWord = 8,         ///< \w of regular expressions in Rust, of Unicode 16
  kMark = 16,        ///< M*, of Unicode 9
  kNonspacing = 32,  ///< Mn, of Unicode 8
  kOther = 64,       ///< Cc, Cf and Co of Unicode 8, without tab and line ends
};
std::uint8_t char_classes(char32_t c);
inline bool has_class(char32_t c, std::uint8_t classes) { return (char_classes(c) & classes) != 0; }

/// Lower case by Unicode 17, whatever the neighbours.
void append_lower_17(std::string& out, char32_t c);
/// Numbers of scripts as SentencePiece sees them; 0 joins any script.
std::uint8_t sentencepiece_script(char32_t c);
/// The end of the grapheme cluster (Unicode 17, extended) that begins at byte `at`.
/// Pairs of regional indicators are cut: four bytes each, no charsmap sees the difference.
std::size_t cluster_end(std::string_view text, std::size_t at);

/// Characters that a regular expression means by \p{name}, of Unicode 16; nothing if the name is not known here.
std::optional<icu::UnicodeSet> property_set(std::string_view name);
/// Members of \w and \p{Word} that [:word:] lacks.
icu::UnicodeSet word_extras();
/// Those with a general category among `mask` (U_GC_L_MASK ...), of Unicode 16.
icu::UnicodeSet category_set(std::uint32_t mask);
/// Those with a general category among `mask`, as version `major` of Unicode has it; 14, 15 or 16.
icu::UnicodeSet category_set_of(std::uint32_t mask, int major);

/// Adds the other case of what Unicode 16 knows and ICU may not.
void add_newer_cases(icu::UnicodeSet& set);

}  // namespace xp::pipeline
