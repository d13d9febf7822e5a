#pragma once
// Splitting text into the words that a tokenizer's model sees one by one. All take valid UTF-8 and give byte spans in
// ascending order that do not overlap.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kit/unicode.h"

namespace xp {

using VisitWord = std::function<void(TextSpan)>;

/// BERT's rule: white space separates and is left out; each punctuation character, and each Han ideograph if
/// `ideographs`, is a word of its own.
XP_API void split_words_and_punctuation(std::string_view text, bool ideographs, const VisitWord& visit);

/// GPT-2's rule (Radford et al. 2019), with the space before a word as part of it.
XP_API void split_gpt2_words(std::string_view text, const VisitWord& visit);

/// A stretch begins at every `mark` (a character) and at the start of the text.
XP_API void split_before(std::string_view text, std::string_view mark, const VisitWord& visit);

/// A regular expression over characters (PCRE2, compiled to machine code). Used from any thread.
class XP_API WordPattern {
 public:
  /// Throws Error (Exit::usage) naming the pattern and the place if it does not compile.
  explicit WordPattern(const std::string& pattern);
  ~WordPattern();
  WordPattern(WordPattern&&) noexcept;

  /// Matches and what lies between them, each a word.
  void split(std::string_view text, const VisitWord& visit) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xp
