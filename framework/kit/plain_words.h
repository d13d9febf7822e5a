#pragma once
// Words as statistics of text count them.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kit/unicode.h"

namespace xp {

/// The words of a text in lower case: stretches between word boundaries (UAX 29) that have a letter or a number.
inline std::vector<std::string> plain_words(std::string_view text) {
  std::vector<std::string> out;
  for (const auto& [begin, end] : word_spans(text)) {
    std::string word;
    bool counts = false;
    for (const char32_t c : characters(text.substr(begin, end - begin)))
      counts = counts || is_letter(c) || is_number(c), append_lower(word, c);
    if (counts) out.push_back(std::move(word));
  }
  return out;
}

}  // namespace xp
