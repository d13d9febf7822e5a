// Character classes and escapes of patterns.
#include <unicode/uchar.h>

#include <algorithm>

#include "base/text.h"
#include "kit/pipeline/char_sets.h"
#include "kit/pipeline/pattern_parser.h"
#include "kit/pipeline/unicode_data.h"
#include "kit/unicode.h"

namespace xp::pipeline {
namespace {

constexpr int kMostNestedClasses = 32;

icu::UnicodeSet without_surrogates(icu::UnicodeSet set) {
  set.remove(0xD800, 0xDFFF);
  return set;
}

}  // namespace

// Without regard to case a class also matches whatever differs from its members in case only, single characters that
// is: one that equals several others would make the class match these, unless it matches the first of them anyway
// or the class is negated.
std::string PatternParser::class_pattern(icu::UnicodeSet set, std::size_t begin) const {
  if (flags_.ignore_case && pattern_.compare(begin, 2, "[^") != 0) {
    for (std::int32_t i = 0; i < long_folders().getRangeCount(); ++i)
      for (UChar32 c = long_folders().getRangeStart(i); c <= long_folders().getRangeEnd(i); ++c)
        if (set.contains(c) && !set.contains(static_cast<UChar32>(folded_first(static_cast<char32_t>(c)))))
          wrong(begin,
                "without regard to case this class also matches several characters at once; that is not "
                "supported");
  }
  return set_text(set);
}

icu::UnicodeSet PatternParser::bracket(std::size_t begin, bool top, int nested) {
  if (nested > kMostNestedClasses) wrong(begin, "classes are nested more than " + std::to_string(kMostNestedClasses));
  const bool negated = skip("^");
  icu::UnicodeSet out;
  bool first = true;
  do {
    icu::UnicodeSet part;
    const std::size_t from = at_;
    if (first && looking_at("]")) {
      if (pattern_.find(']', at_ + 1) == std::string::npos) wrong(begin, "an empty class matches nothing");
      ++at_;
      part.add(']');
    }
    bracket_items(part, begin, nested);
    if (at_ == from) wrong(at_, "a part of a class is empty");
    first ? out = part : out.retainAll(part);
    first = false;
  } while (skip("&&"));
  if (!skip("]")) wrong(begin, "this class does not end");
  if (top && flags_.ignore_case) out = closed_over_case(out);
  return without_surrogates(negated ? out.complement() : out);
}

// Members up to the end of the class or the next &&.
void PatternParser::bracket_items(icu::UnicodeSet& set, std::size_t begin, int nested) {
  while (!looking_at("]") && !looking_at("&&")) {
    const std::size_t from = at_;
    if (looking_at("[")) {
      if (const auto posix = posix_bracket()) {
        set.addAll(*posix);
      } else {
        ++at_;
        set.addAll(bracket(from, false, nested + 1));
      }
      continue;
    }
    if (skip("\\")) {
      const std::size_t behind = at_;
      if (const auto escaped = class_escape(take())) {
        set.addAll(*escaped);
        if (looking_at("-") && !looking_at("-]")) wrong(at_, "a range cannot begin with a class");
        continue;
      }
      at_ = behind - 1;
    }
    const char32_t first = class_character(begin);
    auto last = first;
    if (looking_at("-") && !looking_at("-]") && !looking_at("-&&")) {
      ++at_;
      if (looking_at("[")) wrong(at_, "a range cannot end with a class");
      last = class_character(begin);
      if (last < first) wrong(from, "a range must not end before it begins");
    }
    set.add(static_cast<UChar32>(first), static_cast<UChar32>(last));
    if (last > first && looking_at("-")) set.add('-'), ++at_;
  }
}

// [:name:] or [:^name:]; nothing if a plain class begins here.
std::optional<icu::UnicodeSet> PatternParser::posix_bracket() {
  if (!looking_at("[:")) return std::nullopt;
  const std::size_t end = pattern_.find(":]", at_ + 2);
  if (end == std::string::npos || end - at_ > 20) return std::nullopt;
  std::string name = pattern_.substr(at_ + 2, end - at_ - 2);
  const bool negated = !name.empty() && name[0] == '^';
  if (negated) name.erase(0, 1);
  static const std::vector<std::string> kNames = {"alnum", "alpha", "ascii", "blank", "cntrl", "digit",  "graph",
                                                  "lower", "print", "punct", "space", "upper", "xdigit", "word"};
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
    wrong(at_, backquoted(name) + " is no class; known are " + listed(kNames, kNames.size()));
  icu::UnicodeSet out;
  // Only here symbols are punctuation.
  if (name == "punct") {
    out = category_set(U_GC_P_MASK | U_GC_S_MASK);
  } else {
    out = *property_set(name);
    if (name == "word") out.removeAll(word_extras());
  }
  at_ = end + 2;
  return without_surrogates(negated ? out.complement() : out);
}

std::optional<icu::UnicodeSet> PatternParser::class_escape(char32_t c) {
  const std::size_t begin = at_ - 2;  // of the backslash
  const auto either = [&](icu::UnicodeSet set, bool negated) {
    return without_surrogates(negated ? set.complement() : set);
  };
  switch (c) {
    case 'd':
    case 'D': return either(category_set(U_GC_ND_MASK), c == 'D');
    case 's':
    case 'S': return either(*property_set("space"), c == 'S');
    case 'h':
    case 'H': return either(*property_set("xdigit"), c == 'H');
    case 'w':
    case 'W': return either(*property_set("word"), c == 'W');
    case 'p':
    case 'P': return property(begin, c == 'P');
    default: return std::nullopt;
  }
}

icu::UnicodeSet PatternParser::property(std::size_t begin, bool negated) {
  if (!skip("{")) wrong(begin, "a property must be written as \\p{Name}");
  if (skip("^")) negated = !negated;
  const std::size_t end = pattern_.find('}', at_);
  if (end == std::string::npos) wrong(begin, "the name of a property does not end");
  const std::string name = pattern_.substr(at_, end - at_);
  auto set = property_set(name);
  if (!set) wrong(begin, "property " + backquoted(printable(name)) + " is not known here");
  at_ = end + 1;
  return without_surrogates(negated ? set->complement() : *set);
}

char32_t PatternParser::class_character(std::size_t begin) {
  const std::size_t from = at_;
  if (done()) wrong(begin, "this class does not end");
  const char32_t c = take();
  if (c != '\\') return c;
  const char32_t escaped = take();
  if (escaped == 'b') return '\b';
  if (class_escape(escaped)) wrong(from, "a range cannot end with a class");
  // Inside brackets a letter that means nothing is itself, but one that means something outside is too easily meant.
  if (const auto one = character_escape(from, escaped)) return *one;
  wrong(from, "escape " + backquoted("\\" + char_text(escaped)) + " is not supported in a class");
}

std::optional<char32_t> PatternParser::character_escape(std::size_t begin, char32_t c) {
  switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'a': return '\a';
    case 'e': return 0x1B;
    case '0': return number(begin, 8, 2, 0);
    case 'u': return number(begin, 16, 4, 0);
    case 'x': return skip("{") ? number(begin, 16, 8, '}') : number(begin, 16, 2, 0);
    default: break;
  }
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  if (letter) return std::nullopt;
  return c;
}

// Up to `most` digits; with `end` exactly those before it, else \u wants all of its four.
char32_t PatternParser::number(std::size_t begin, unsigned base, std::size_t most, char end) {
  std::uint64_t value = 0;
  std::size_t n = 0;
  for (; n < most && !done(); ++n, ++at_) {
    const char c = pattern_[at_];
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A') + 10
                                                  : 16;
    if (digit >= base) break;
    value = value * base + digit;
  }
  const bool octal = base == 8;
  if ((n == 0 && !octal) || (most == 4 && n < 4) || (end != 0 && !skip(std::string_view(&end, 1))))
    wrong(begin, "this number of a character is not complete");
  // A number of two digits is a byte, which is no character beyond ASCII.
  const bool byte = most == 2 && !octal;
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000) || (byte && value > 0x7F))
    wrong(begin, "there is no such character");
  return static_cast<char32_t>(value);
}

}  // namespace xp::pipeline
