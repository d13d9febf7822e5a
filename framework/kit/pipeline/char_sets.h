#pragma once
// Sets of characters as text of PCRE2 expressions.
#include <unicode/uniset.h>

#include <string>
#include <string_view>

namespace xp::pipeline {

/// An expression that matches one character of the set, whatever Unicode version PCRE2 has.
std::string set_text(const icu::UnicodeSet& set);
/// An expression that matches the character.
std::string char_pattern(char32_t c);
/// With all characters that differ from one of the set in case only.
icu::UnicodeSet closed_over_case(icu::UnicodeSet set);
/// True if some character folds to these characters, several, so that it equals them but for case: "ss", "fi".
bool is_long_folding(std::u32string_view folded);
/// The longest such folding.
std::size_t longest_folding();
/// Characters whose case folding is several characters.
const icu::UnicodeSet& long_folders();
/// The simple case folding, or for a character with a longer one its first character.
char32_t folded_first(char32_t c);

}  // namespace xp::pipeline
