#include "kit/pipeline/pattern_parser.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/char_sets.h"
#include "kit/pipeline/pattern.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

constexpr int kMostNestedGroups = 100;
constexpr int kMostRepeats = 65535;  // of PCRE2

std::string word_set_text() {
  static const std::string text = set_text(*property_set("word"));
  return text;
}

}  // namespace

std::string translated_pattern(const std::string& pattern, const std::string& place) {
  return PatternParser(pattern, place).translate();
}

PatternParser::PatternParser(const std::string& pattern, const std::string& place)
    : pattern_(pattern), place_(place) {
  if (!is_utf8(pattern)) wrong(0, "it is not UTF-8");
}

void PatternParser::wrong(std::size_t at, const std::string& what) const {
  throw Error(place_ + ": pattern " + backquoted(printable(pattern_)) + ", byte " + std::to_string(at) + ": " + what,
              Exit::data);
}

bool PatternParser::skip(std::string_view text) {
  if (!looking_at(text)) return false;
  at_ += text.size();
  return true;
}

char32_t PatternParser::take() {
  if (done()) wrong(at_, "the pattern ends too early");
  return next_char(pattern_, at_);
}

// Of an extended pattern: blanks and comments mean nothing.
void PatternParser::skip_blanks() {
  while (!done()) {
    if (looking_at("(?#")) {
      const std::size_t end = pattern_.find(')', at_);
      if (end == std::string::npos) wrong(at_, "a comment does not end");
      at_ = end + 1;
    } else if (flags_.extended && pattern_[at_] == '#') {
      at_ = std::min(pattern_.find('\n', at_), pattern_.size());
    } else if (flags_.extended && std::string_view(" \t\n\r\f\v").find(pattern_[at_]) != std::string_view::npos) {
      ++at_;
    } else {
      return;
    }
  }
}

// Ruby's rule: where groups have names, those without capture nothing.
bool PatternParser::has_named_groups() const {
  for (std::size_t i = 0; i + 3 < pattern_.size(); ++i) {
    if (pattern_[i] == '\\') {
      ++i;
    } else if (pattern_.compare(i, 3, "(?'") == 0 ||
               (pattern_.compare(i, 3, "(?<") == 0 && pattern_[i + 3] != '=' && pattern_[i + 3] != '!')) {
      return true;
    }
  }
  return false;
}

std::string PatternParser::translate() {
  named_ = has_named_groups();
  std::string out = alternatives(0);
  if (!done()) wrong(at_, "this closing parenthesis opens nowhere");
  return out;
}

std::string PatternParser::alternatives(int nested) {
  if (nested > kMostNestedGroups) wrong(at_, "groups are nested more than " + std::to_string(kMostNestedGroups));
  std::string out = branch(nested);
  while (skip("|")) out += "|" + branch(nested);
  return out;
}

std::string PatternParser::branch(int nested) {
  std::string out;
  std::u32string run;  // literals in a row that ignore case
  for (;;) {
    skip_blanks();
    if (done() || pattern_[at_] == '|' || pattern_[at_] == ')') return out;
    const std::size_t begin = at_;
    Atom one = atom(nested);
    if (one.is_literal && flags_.ignore_case) {
      run += folded_first(one.literal);
      check_foldings(run, begin);
    } else {
      run.clear();
    }
    bool repeated = false;
    for (skip_blanks(); const auto times = repeat(); skip_blanks()) {
      if (!one.repeats) wrong(begin, "what stands here cannot be repeated");
      if (repeated) one.text = "(?:" + one.text + ")";
      one.text += times->text;
      if (times->optional_too) one.text = "(?:" + one.text + ")?";
      repeated = true;
    }
    out += one.text;
  }
}

// Several characters that equal one but for case would have to match it as well; PCRE2 cannot say that.
void PatternParser::check_foldings(std::u32string_view run, std::size_t at) const {
  for (std::size_t n = 2; n <= std::min(run.size(), longest_folding()); ++n)
    if (is_long_folding(run.substr(run.size() - n)))
      wrong(at,
            "without regard to case these characters also match a single one (as `ss` matches U+00DF); that is "
            "not supported");
}

PatternParser::Atom PatternParser::literal(char32_t c) const {
  if (!flags_.ignore_case) return {char_pattern(c), true, c, true};
  if (long_folders().contains(static_cast<UChar32>(c)))
    wrong(at_, "without regard to case this character also matches several; that is not supported");
  const auto one = static_cast<UChar32>(c);
  return {set_text(closed_over_case(icu::UnicodeSet(one, one))), true, c, true};
}

PatternParser::Atom PatternParser::atom(int nested) {
  const std::size_t begin = at_;
  const char32_t c = take();
  switch (c) {
    case '(': return group(nested);
    case '[': return {class_pattern(bracket(begin, true, nested), begin)};
    case '.': return {flags_.dot_all ? "(?s:.)" : "\\N"};
    case '^': return {"(?m:^)", false};
    case '$': return {"(?m:$)", false};
    case '\\': return escape(begin);
    case '*':
    case '+':
    case '?': wrong(begin, "there is nothing to repeat");
    case '{':
      at_ = begin;
      if (interval()) wrong(begin, "there is nothing to repeat");
      at_ = begin + 1;
      return literal(c);
    default: return literal(c);
  }
}

std::string PatternParser::close(int nested, std::size_t begin, const std::string& opened) {
  std::string inside = alternatives(nested + 1);
  if (!skip(")")) wrong(begin, "this group does not end");
  return opened + inside + ")";
}

std::string PatternParser::group_name(char end) {
  const std::size_t begin = at_, stop = pattern_.find(end, at_);
  if (stop == std::string::npos) wrong(begin, "the name of a group does not end");
  std::string name = pattern_.substr(begin, stop - begin);
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (name.empty() || name.size() > 32 || (name[0] >= '0' && name[0] <= '9') ||
      !std::all_of(name.begin(), name.end(), fits))
    wrong(begin, "a group's name must be up to 32 ASCII letters, digits and _");
  at_ = stop + 1;
  return name;
}

PatternParser::Atom PatternParser::group(int nested) {
  const std::size_t begin = at_ - 1;
  const Flags outside = flags_;
  Atom out;
  if (!skip("?")) {
    if (looking_at("*")) wrong(begin, "callouts are not supported");
    if (!named_) ++groups_;
    out.text = close(nested, begin, named_ ? "(?:" : "(");
  } else if (skip(":")) {
    out.text = close(nested, begin, "(?:");
  } else if (skip(">")) {
    out.text = close(nested, begin, "(?>");
  } else if (skip("=")) {
    out = {close(nested, begin, "(?="), false};
  } else if (skip("!")) {
    out = {close(nested, begin, "(?!"), false};
  } else if (skip("<=")) {
    out = {close(nested, begin, "(?<="), false};
  } else if (skip("<!")) {
    out = {close(nested, begin, "(?<!"), false};
  } else if (skip("<") || skip("'")) {
    const std::string name = group_name(pattern_[at_ - 1] == '<' ? '>' : '\'');
    ++groups_;
    out.text = close(nested, begin, "(?<" + name + ">");
  } else {
    out = options(begin, nested);
  }
  flags_ = outside;
  return out;
}

// (?imx-imx:...), or without a colon: for the rest of the group, its further alternatives included.
PatternParser::Atom PatternParser::options(std::size_t begin, int nested) {
  bool on = true;
  for (;;) {
    const char32_t c = take();
    if (c == '-') {
      on = false;
    } else if (c == 'i') {
      flags_.ignore_case = on;
    } else if (c == 'm') {
      flags_.dot_all = on;
    } else if (c == 'x') {
      flags_.extended = on;
    } else if (c == ':') {
      return {close(nested, begin, "(?:")};
    } else if (c == ')') {
      return {"(?:" + alternatives(nested + 1) + ")"};
    } else {
      wrong(begin, "this kind of group is not supported");
    }
  }
}

std::optional<PatternParser::Repeat> PatternParser::repeat() {
  if (done()) return std::nullopt;
  const char c = pattern_[at_];
  if (c == '{') return interval();
  if (c != '*' && c != '+' && c != '?') return std::nullopt;
  ++at_;
  Repeat out{std::string(1, c)};
  if (skip("?")) {
    out.text += "?";
  } else if (skip("+")) {
    out.text += "+";
  }
  return out;
}

// {n}, {n,}, {,m} and {n,m}; anything else is a literal brace. In Ruby a plus behind it repeats once more.
std::optional<PatternParser::Repeat> PatternParser::interval() {
  const std::size_t begin = at_;
  std::size_t at = at_ + 1;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < pattern_.size() && pattern_[at] >= '0' && pattern_[at] <= '9') ++at;
    return pattern_.substr(from, at - from);
  };
  const auto value = [&](const std::string& text) {
    if (text.size() > 5 || std::stoi(text) > kMostRepeats)
      wrong(begin, "at most " + std::to_string(kMostRepeats) + " repeats are possible");
    return std::stoi(text);
  };
  const std::string least = digits();
  const bool range = at < pattern_.size() && pattern_[at] == ',';
  if (range) ++at;
  const std::string most = range ? digits() : std::string();
  if (at >= pattern_.size() || pattern_[at] != '}' || (least.empty() && most.empty())) return std::nullopt;
  at_ = at + 1;
  const int from = least.empty() ? 0 : value(least);
  if (!most.empty() && value(most) < from) wrong(begin, "the second number must not be smaller");
  Repeat out{"{" + std::to_string(from)};
  if (range) out.text += "," + (most.empty() ? most : std::to_string(value(most)));
  out.text += "}";
  if (skip("?")) {
    if (range) {
      out.text += "?";
    } else {
      out.optional_too = true;
    }
  }
  return out;
}

PatternParser::Atom PatternParser::escape(std::size_t begin) {
  const char32_t c = take();
  switch (c) {
    case 'A': return {"\\A", false};
    case 'z': return {"\\z", false};
    case 'Z': return {"\\Z", false};
    case 'G': return {"\\G", false};
    case 'b':
      return {"(?:(?<=" + word_set_text() + ")(?!" + word_set_text() + ")|(?<!" + word_set_text() +
                  ")(?=" + word_set_text() + "))",
              false};
    case 'B':
      return {"(?:(?<=" + word_set_text() + ")(?=" + word_set_text() + ")|(?<!" + word_set_text() + ")(?!" +
                  word_set_text() + "))",
              false};
    case 'R': return {"(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])"};
    case 'k': return named_reference(begin);
    default: break;
  }
  if (c >= '1' && c <= '9') return reference(begin, c);
  // A property by itself is the same whatever the case; inside brackets it is not.
  if (const auto set = class_escape(c)) return {set_text(*set)};
  if (const auto one = character_escape(begin, c)) return literal(*one);
  wrong(begin, "escape " + backquoted("\\" + char_text(c)) + " is not supported");
}

PatternParser::Atom PatternParser::reference(std::size_t begin, char32_t digit) {
  if (!done() && pattern_[at_] >= '0' && pattern_[at_] <= '9')
    wrong(begin, "references beyond \\9 and octal numbers that do not begin with 0 are not supported");
  if (named_) wrong(begin, "groups with names cannot be referred to by number");
  if (flags_.ignore_case) wrong(begin, "references without regard to case are not supported");
  if (static_cast<int>(digit - '0') > groups_) wrong(begin, "there is no such group before it");
  return {std::string("\\g{") + static_cast<char>(digit) + "}"};
}

PatternParser::Atom PatternParser::named_reference(std::size_t begin) {
  if (!skip("<")) wrong(begin, "a reference must be \\k<name>");
  if (flags_.ignore_case) wrong(begin, "references without regard to case are not supported");
  return {"\\k<" + group_name('>') + ">"};
}

}  // namespace xp::pipeline
