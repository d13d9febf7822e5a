#include "kit/pipeline/unicode_data.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/error.h"
#include "kit/unicode.h"

namespace xp::pipeline {
namespace {

struct Change {
  char32_t first, last;
  int value;
};

#include "kit/pipeline/unicode_tables.inc"

constexpr std::size_t kCodePoints = 0x110000;

template <std::size_t N>
const Change* find_change(const Change (&table)[N], char32_t c) {
  const auto* behind =
      std::upper_bound(table, table + N, c, [](char32_t value, const Change& row) { return value < row.first; });
  return behind != table && c <= behind[-1].last ? behind - 1 : nullptr;
}

icu::UnicodeSet set_of(const char* pattern) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet out(icu::UnicodeString::fromUTF8(pattern), status);
  if (U_FAILURE(status)) throw Error(std::string("ICU knows no set ") + pattern + ": " + u_errorName(status));
  return out;
}

// ICU's age of a set is "up to".
icu::UnicodeSet known(int major) { return set_of(("[:age=" + std::to_string(major) + ".0:]").c_str()); }

icu::UnicodeSet property(UProperty which, std::int32_t value) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet out;
  out.applyIntPropertyValue(which, value, status);
  if (U_FAILURE(status)) throw Error(std::string("ICU lacks a property: ") + u_errorName(status));
  return out;
}

template <std::size_t N, class Fits>
void apply_changes(icu::UnicodeSet& set, const Change (&table)[N], Fits fits) {
  for (const auto& row : table) {
    const auto first = static_cast<UChar32>(row.first), last = static_cast<UChar32>(row.last);
    fits(row.value) ? set.add(first, last) : set.remove(first, last);
  }
}

template <class Visit>
void each_range(const icu::UnicodeSet& set, Visit visit) {
  for (std::int32_t i = 0; i < set.getRangeCount(); ++i)
    visit(static_cast<char32_t>(set.getRangeStart(i)), static_cast<char32_t>(set.getRangeEnd(i)));
}

class Classes {
 public:
  Classes() : of_(kCodePoints) {
    mark(set_of("[:White_Space:]"), kSpace);
    auto numbers = category_set_of(U_GC_N_MASK, 15);
    apply_changes(numbers, kNumbers, [](int there) { return there != 0; });
    mark(numbers, kNumber);
    // Rust's \w has the joiners, Oniguruma's has fractions and superscripts of Latin-1.
    mark(property_set("word")->removeAll(word_extras()).add(0x200C, 0x200D), kWord);
    auto marks = property(UCHAR_GENERAL_CATEGORY_MASK, U_GC_M_MASK).retainAll(known(9));
    apply_changes(marks, kMarks, [](int there) { return there != 0; });
    mark(marks, kMark);
    // What kit/unicode.h decides by Unicode 8 can only be true in these categories.
    mark_if(property(UCHAR_GENERAL_CATEGORY_MASK, U_GC_P_MASK | U_GC_S_MASK | U_GC_L_MASK | U_GC_M_MASK),
            kPunctuation, is_punctuation);
    mark_if(property(UCHAR_GENERAL_CATEGORY_MASK, U_GC_M_MASK), kNonspacing, is_nonspacing_mark);
    mark_if(property(UCHAR_GENERAL_CATEGORY_MASK, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK), kOther, is_control);
  }
  std::uint8_t of(char32_t c) const { return of_[c]; }

 private:
  void mark(const icu::UnicodeSet& set, std::uint8_t bit) {
    each_range(set, [&](char32_t first, char32_t last) {
      for (char32_t c = first; c <= last; ++c) of_[c] |= bit;
    });
  }
  void mark_if(const icu::UnicodeSet& set, std::uint8_t bit, bool (*is)(char32_t)) {
    each_range(set, [&](char32_t first, char32_t last) {
      // Private use is one answer for all of it, and by far the largest range.
      const bool uniform = u_charType(static_cast<UChar32>(first)) == U_PRIVATE_USE_CHAR;
      const bool all = uniform && is(first);
      for (char32_t c = first; c <= last; ++c)
        if (uniform ? all : is(c)) of_[c] |= bit;
    });
  }
  std::vector<std::uint8_t> of_;
};

class Scripts {
 public:
  Scripts() : of_(kCodePoints) {
    for (const auto& row : kSentencePieceScripts)
      for (char32_t c = row.first; c <= row.last; ++c) of_[c] = static_cast<std::uint8_t>(row.value);
  }
  std::uint8_t of(char32_t c) const { return of_[c]; }

 private:
  std::vector<std::uint8_t> of_;
};

bool older(char32_t c, int major) {
  UVersionInfo age{};
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 0 && age[0] <= major;
}

int cluster_break(char32_t c) {
  if (const auto* change = find_change(kClusterBreaks, c)) return change->value;
  return older(c, 15) ? u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK) : U_GCB_OTHER;
}

int conjunct(char32_t c) {
  if (c < 0x900) return 0;
  const auto* change = find_change(kConjuncts, c);
  return change != nullptr ? change->value : 0;
}

bool is_pictographic(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC); }

bool hangul_joins(int before, int after) {
  switch (before) {
    case U_GCB_L: return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V: return after == U_GCB_V || after == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T: return after == U_GCB_T;
    default: return false;
  }
}

bool is_control_break(int value) { return value == U_GCB_CONTROL || value == U_GCB_CR || value == U_GCB_LF; }

// What the rules must remember of a cluster's characters.
struct Cluster {
  int last = 0;               // break class of the last character
  bool pictographic = false;  // a pictograph, then only extenders; `joined` if the last of them is ZWJ
  bool consonant = false;     // a consonant, then only extenders and linkers; `linked` if a linker is among them
  bool linked = false;

  void take(char32_t c, int value) {
    const bool extends = value == U_GCB_EXTEND || value == U_GCB_ZWJ;
    pictographic = is_pictographic(c) || (pictographic && extends);
    const int role = conjunct(c);
    linked = role != 1 && consonant && (linked || role == 2) && extends;
    consonant = role == 1 || (consonant && extends);
    last = value;
  }
  bool joins(char32_t c, int value) const {
    if (last == U_GCB_CR) return value == U_GCB_LF;
    if (is_control_break(last) || is_control_break(value)) return false;
    if (value == U_GCB_EXTEND || value == U_GCB_ZWJ || value == U_GCB_SPACING_MARK || last == U_GCB_PREPEND)
      return true;
    return hangul_joins(last, value) || (linked && conjunct(c) == 1) ||
           (pictographic && last == U_GCB_ZWJ && is_pictographic(c));
  }
};

// Names are compared without case, blanks, hyphens and underscores.
std::string bare(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != ' ' && c != '-' && c != '_') out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

template <std::size_t N>
icu::UnicodeSet binary_set(UProperty which, const Change (&table)[N]) {
  auto out = property(which, 1).retainAll(known(15));
  apply_changes(out, table, [](int there) { return there != 0; });
  return out;
}

std::optional<icu::UnicodeSet> binary_property(const std::string& name) {
  if (name == "any") return icu::UnicodeSet(0, 0xD7FF).add(0xE000, 0x10FFFF);
  if (name == "ascii") return icu::UnicodeSet(0, 0x7F);
  if (name == "assigned") return category_set(~std::uint32_t{U_GC_CN_MASK});
  if (name == "space" || name == "whitespace") return set_of("[:White_Space:]");
  if (name == "blank") return category_set(U_GC_ZS_MASK).add('\t');
  if (name == "alpha" || name == "alphabetic") return binary_set(UCHAR_ALPHABETIC, kAlphabetic);
  if (name == "upper" || name == "uppercase") return binary_set(UCHAR_UPPERCASE, kUppercase);
  if (name == "lower" || name == "lowercase") return binary_set(UCHAR_LOWERCASE, kLowercase);
  if (name == "ideographic") return binary_set(UCHAR_IDEOGRAPHIC, kIdeographic);
  if (name == "emoji") return binary_set(UCHAR_EMOJI, kEmoji);
  if (name == "extendedpictographic") return binary_set(UCHAR_EXTENDED_PICTOGRAPHIC, kExtendedPictographic);
  if (name == "digit") return category_set(U_GC_ND_MASK);
  if (name == "alnum") return property_set("alpha")->addAll(category_set(U_GC_ND_MASK));
  if (name == "word")
    return property_set("alnum")->addAll(category_set(U_GC_M_MASK | U_GC_PC_MASK)).addAll(word_extras());
  if (name == "graph")
    return property_set("assigned")->removeAll(set_of("[:White_Space:]")).removeAll(category_set(U_GC_CC_MASK));
  if (name == "print") return property_set("graph")->addAll(category_set(U_GC_ZS_MASK));
  if (name == "xdigit") return set_of("[0-9A-Fa-f]");
  if (name == "hexdigit") return set_of("[:Hex_Digit:]");
  if (name == "cntrl") return category_set(U_GC_CC_MASK);
  return std::nullopt;
}

std::optional<icu::UnicodeSet> script_set(const std::string& name) {
  const auto code = static_cast<UScriptCode>(u_getPropertyValueEnum(UCHAR_SCRIPT, name.c_str()));
  if (code < 0) return std::nullopt;
  auto out = property(UCHAR_SCRIPT, code).retainAll(known(15));
  apply_changes(out, kScripts, [&](int script) { return script == code; });
  return out;
}

}  // namespace

std::uint8_t char_classes(char32_t c) {
  static const Classes all;
  return all.of(c);
}

void append_lower_17(std::string& out, char32_t c) {
  const auto* change = find_change(kLower, c);
  if (change == nullptr) return append_lower(out, c);
  append_char(out, static_cast<char32_t>(static_cast<std::int32_t>(c) + change->value));
}

std::uint8_t sentencepiece_script(char32_t c) {
  static const Scripts all;
  return all.of(c);
}

std::size_t cluster_end(std::string_view text, std::size_t at) {
  Cluster cluster;
  const char32_t first = next_char(text, at);
  cluster.take(first, cluster_break(first));
  while (at < text.size()) {
    std::size_t end = at;
    const char32_t c = next_char(text, end);
    const int value = cluster_break(c);
    if (!cluster.joins(c, value)) break;
    cluster.take(c, value);
    at = end;
  }
  return at;
}

icu::UnicodeSet word_extras() { return icu::UnicodeSet(0xB2, 0xB3).add(0xB9).add(0xBC, 0xBE); }

icu::UnicodeSet category_set_of(std::uint32_t mask, int major) {
  auto out = property(UCHAR_GENERAL_CATEGORY_MASK, static_cast<std::int32_t>(mask));
  out.remove(0xD800, 0xDFFF);
  const auto known_ones = known(std::min(major, 15));
  if ((mask & U_GC_CN_MASK) != 0) {
    icu::UnicodeSet unknown = known_ones;
    out.addAll(unknown.complement().remove(0xD800, 0xDFFF));
  } else {
    out.retainAll(known_ones);
  }
  if (major >= 16) apply_changes(out, kCategories, [&](int category) { return (U_MASK(category) & mask) != 0; });
  return out;
}

icu::UnicodeSet category_set(std::uint32_t mask) { return category_set_of(mask, 16); }

void add_newer_cases(icu::UnicodeSet& set) {
  static const auto assigned = category_set(~std::uint32_t{U_GC_CN_MASK});
  for (const auto& row : kLower)
    for (auto c = static_cast<UChar32>(row.first); c <= static_cast<UChar32>(row.last); ++c) {
      if (!assigned.contains(c)) continue;
      if (set.contains(c)) set.add(c + row.value);
      if (set.contains(c + row.value)) set.add(c);
    }
}

std::optional<icu::UnicodeSet> property_set(std::string_view name) {
  const std::string plain = bare(name);
  if (auto found = binary_property(plain)) return found;
  // ICU accepts more spellings than the regular expressions' library; all mean the same.
  const auto mask = u_getPropertyValueEnum(UCHAR_GENERAL_CATEGORY_MASK, plain.c_str());
  if (plain == "punct" || plain == "punctuation") return category_set(U_GC_P_MASK);
  if (mask != UCHAR_INVALID_CODE && plain != "l&") return category_set(static_cast<std::uint32_t>(mask));
  return script_set(plain);
}

}  // namespace xp::pipeline
