#pragma once
// Patterns of `tokenizer.json`: literal texts, or regular expressions in the Ruby syntax of Oniguruma, which are
// translated to PCRE2 with the character classes of Unicode 16.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kit/pipeline/steps.h"
#include "kit/unicode.h"

namespace xp::pipeline {

/// The PCRE2 expression that matches what Oniguruma's matches. Throws Error (Exit::data) naming `place`, the pattern
/// and the byte for what is wrong or cannot be said in PCRE2.
std::string translated_pattern(const std::string& pattern, const std::string& place);

/// Used from any thread.
class XP_API Pattern {
 public:
  /// A regular expression, or if `literal` a text that matches itself.
  Pattern(const std::string& pattern, bool literal, const std::string& place);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  /// Calls piece(begin, end, is_match) for matches and what lies between them, all of the text in order; matches may
  /// be empty. Throws Error (Exit::data) if matching needs too much backtracking.
  template <class Visit>
  void split(std::string_view text, Visit piece) const {
    std::size_t done = 0;
    if (text.empty()) return;
    Search search(*this, text);
    for (TextSpan found; search.next(found); done = found.end) {
      if (found.begin > done) piece(done, std::size_t{found.begin}, false);
      piece(std::size_t{found.begin}, std::size_t{found.end}, true);
    }
    if (done < text.size()) piece(done, text.size(), false);
  }

 private:
  struct Compiled;
  /// The matches of one text: leftmost, not overlapping, none empty right behind another.
  class XP_API Search {
   public:
    Search(const Pattern& pattern, std::string_view text) : pattern_(pattern), text_(text) {}
    bool next(TextSpan& found);

   private:
    bool match(std::size_t from, TextSpan& found) const;
    const Pattern& pattern_;
    std::string_view text_;
    std::size_t from_ = 0;                    // where the search goes on
    std::size_t last_end_ = ~std::size_t{0};  // of the match before
  };

  std::string literal_;  // not empty: no expression
  std::string place_;
  std::unique_ptr<Compiled> compiled_;
};

/// `pattern` of a step: { "String": ... } or { "Regex": ... }.
Pattern read_pattern(const Entry& step);

}  // namespace xp::pipeline
