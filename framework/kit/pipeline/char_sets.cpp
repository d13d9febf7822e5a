#include "kit/pipeline/char_sets.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

constexpr std::int32_t kFewRanges = 16;  // so many are looked through faster than properties are looked up

std::string hex(char32_t c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (; c > 0 || out.empty(); c >>= 4) out.insert(out.begin(), kDigits[c & 15]);
  return "\\x{" + out + "}";
}

std::string inside_class(char32_t c) {
  const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return plain ? std::string(1, static_cast<char>(c)) : hex(c);
}

struct Category {
  std::string text;
  icu::UnicodeSet set;
};

int pcre_unicode() {
  std::array<char, 32> version{};
  const int size = pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, nullptr);
  if (size <= 0 || static_cast<std::size_t>(size) > version.size()) return 0;
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version.data());
  return std::atoi(version.data());
}

// The categories as this PCRE2 has them, whole ones before their parts; none if its version is not known here.
const std::vector<Category>& categories() {
  static const std::vector<Category> all = [] {
    std::vector<Category> out;
    const int version = pcre_unicode();
    if (version < 14 || version > 16) return out;
    const std::pair<const char*, std::uint32_t> names[] = {
        {"L", U_GC_L_MASK},   {"Lu", U_GC_LU_MASK}, {"Ll", U_GC_LL_MASK}, {"Lt", U_GC_LT_MASK}, {"Lm", U_GC_LM_MASK},
        {"Lo", U_GC_LO_MASK}, {"M", U_GC_M_MASK},   {"Mn", U_GC_MN_MASK}, {"Mc", U_GC_MC_MASK}, {"Me", U_GC_ME_MASK},
        {"N", U_GC_N_MASK},   {"Nd", U_GC_ND_MASK}, {"Nl", U_GC_NL_MASK}, {"No", U_GC_NO_MASK}, {"P", U_GC_P_MASK},
        {"Pd", U_GC_PD_MASK}, {"Ps", U_GC_PS_MASK}, {"Pe", U_GC_PE_MASK}, {"Pi", U_GC_PI_MASK}, {"Pf", U_GC_PF_MASK},
        {"Pc", U_GC_PC_MASK}, {"Po", U_GC_PO_MASK}, {"S", U_GC_S_MASK},   {"Sm", U_GC_SM_MASK}, {"Sc", U_GC_SC_MASK},
        {"Sk", U_GC_SK_MASK}, {"So", U_GC_SO_MASK}};
    for (const auto& [name, mask] : names)
      out.push_back({std::string("\\p{") + name + "}", category_set_of(mask, version)});
    return out;
  }();
  return all;
}

// Members of a class: properties first, since most characters of a large set are found by them.
std::pair<std::string, std::int32_t> members(icu::UnicodeSet rest) {
  std::string out;
  std::int32_t items = 0;
  if (rest.getRangeCount() > kFewRanges)
    for (const auto& category : categories())
      if (rest.containsAll(category.set) && !category.set.isEmpty())
        out += category.text, rest.removeAll(category.set), ++items;
  for (std::int32_t i = 0; i < rest.getRangeCount(); ++i, ++items) {
    const auto first = static_cast<char32_t>(rest.getRangeStart(i)),
               last = static_cast<char32_t>(rest.getRangeEnd(i));
    out += inside_class(first);
    if (last > first) out += "-" + inside_class(last);
  }
  return {out, items};
}

struct Foldings {
  icu::UnicodeSet folders;
  std::vector<std::u32string> texts;
  std::size_t longest = 0;

  Foldings() {
    for (UChar32 c = 0x80; c < 0xFB20; ++c) {
      if (u_charType(c) == U_SURROGATE) continue;
      icu::UnicodeString folded(c);
      folded.foldCase();
      if (folded.countChar32() < 2) continue;
      folders.add(c);
      std::u32string text;
      for (std::int32_t i = 0; i < folded.length(); i = folded.moveIndex32(i, 1))
        text += static_cast<char32_t>(folded.char32At(i));
      longest = std::max(longest, text.size());
      texts.push_back(std::move(text));
    }
  }
};

const Foldings& foldings() {
  static const Foldings all;
  return all;
}

}  // namespace

std::string char_pattern(char32_t c) { return inside_class(c); }

std::string set_text(const icu::UnicodeSet& set) {
  icu::UnicodeSet in = set;
  in.removeAllStrings().remove(0xD800, 0xDFFF);
  if (in.isEmpty()) return "(?!)";
  if (in.size() == 1) return char_pattern(static_cast<char32_t>(in.getRangeStart(0)));
  icu::UnicodeSet out = in;
  out.complement().remove(0xD800, 0xDFFF);
  if (out.isEmpty()) return "(?s:.)";
  const auto [with, with_items] = members(in);
  const auto [without, without_items] = members(out);
  return with_items <= without_items ? "[" + with + "]" : "[^" + without + "]";
}

icu::UnicodeSet closed_over_case(icu::UnicodeSet set) {
  set.closeOver(USET_CASE_INSENSITIVE);
  set.removeAllStrings();
  add_newer_cases(set);
  return set;
}

bool is_long_folding(std::u32string_view folded) {
  for (const auto& text : foldings().texts)
    if (text == folded) return true;
  return false;
}

std::size_t longest_folding() { return foldings().longest; }

const icu::UnicodeSet& long_folders() { return foldings().folders; }

char32_t folded_first(char32_t c) {
  icu::UnicodeString folded(static_cast<UChar32>(c));
  folded.foldCase();
  return static_cast<char32_t>(folded.char32At(0));
}

}  // namespace xp::pipeline
