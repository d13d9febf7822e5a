#pragma once
// Reads regular expressions in the Ruby syntax of Oniguruma and writes them for PCRE2.
#include <unicode/uniset.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xp::pipeline {

class PatternParser {
 public:
  /// Throws Error (Exit::data) naming `place`, the pattern and the byte if it is not valid UTF-8.
  PatternParser(const std::string& pattern, const std::string& place);
  std::string translate();

 private:
  struct Flags {
    bool ignore_case = false, dot_all = false, extended = false;
  };
  struct Atom {
    std::string text;
    bool repeats = true;  ///< false: a repeat operator behind it is an error
    char32_t literal = 0;
    bool is_literal = false;
  };
  struct Repeat {
    std::string text;
    bool optional_too = false;  ///< {n}? of Ruby: n times or not at all
  };

  [[noreturn]] void wrong(std::size_t at, const std::string& what) const;
  bool done() const { return at_ >= pattern_.size(); }
  bool looking_at(std::string_view text) const { return pattern_.compare(at_, text.size(), text) == 0; }
  bool skip(std::string_view text);
  char32_t take();
  void skip_blanks();
  bool has_named_groups() const;

  std::string alternatives(int nested);  ///< up to a closing parenthesis or the end
  std::string branch(int nested);
  Atom atom(int nested);
  Atom group(int nested);
  Atom options(std::size_t begin, int nested);
  Atom escape(std::size_t begin);
  Atom reference(std::size_t begin, char32_t digit);
  Atom named_reference(std::size_t begin);
  Atom literal(char32_t c) const;
  std::string close(int nested, std::size_t begin, const std::string& opened);
  std::string group_name(char end);
  std::optional<Repeat> repeat();
  std::optional<Repeat> interval();
  void check_foldings(std::u32string_view run, std::size_t at) const;

  // Classes
  icu::UnicodeSet bracket(std::size_t begin, bool top, int nested);
  void bracket_items(icu::UnicodeSet& set, std::size_t begin, int nested);
  std::optional<icu::UnicodeSet> posix_bracket();
  std::optional<icu::UnicodeSet> class_escape(char32_t c);
  icu::UnicodeSet property(std::size_t begin, bool negated);
  char32_t class_character(std::size_t begin);
  std::optional<char32_t> character_escape(std::size_t begin, char32_t c);
  char32_t number(std::size_t begin, unsigned base, std::size_t most, char end);
  std::string class_pattern(icu::UnicodeSet set, std::size_t begin) const;

  const std::string& pattern_;
  const std::string& place_;
  std::size_t at_ = 0;
  Flags flags_;
  bool named_ = false;
  int groups_ = 0;
};

}  // namespace xp::pipeline
