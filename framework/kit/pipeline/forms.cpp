#include "kit/pipeline/forms.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace xp::pipeline {
namespace {

// A character of a decomposition; `change` as Replay has it.
struct Part {
  char32_t c;
  int change;
  int combining;  // class
};

constexpr char32_t kHangul = 0xAC00, kHangulEnd = 0xD7A4;

bool is_known(char32_t c) {
  UVersionInfo age{};
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 0 && age[0] <= 9;
}

int combining_class(char32_t c) {
  return c < 0x300 || !is_known(c) ? 0 : u_getCombiningClass(static_cast<UChar32>(c));
}

// ICU sorts the marks of one character by insertion: many of them take it the square of their number.
bool has_many_marks(std::string_view text) {
  constexpr int kMany = 64;
  int marks = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    marks = c >= 0x300 && u_getCombiningClass(static_cast<UChar32>(c)) != 0 ? marks + 1 : 0;
    if (marks > kMany) return true;
  }
  return false;
}

class Normaliser {
 public:
  explicit Normaliser(Form form) : composes_(form == Form::nfc || form == Form::nfkc) {
    UErrorCode status = U_ZERO_ERROR;
    const bool compatible = form == Form::nfkc || form == Form::nfkd;
    check_ = form == Form::nfc    ? icu::Normalizer2::getNFCInstance(status)
             : form == Form::nfd  ? icu::Normalizer2::getNFDInstance(status)
             : form == Form::nfkc ? icu::Normalizer2::getNFKCInstance(status)
                                  : icu::Normalizer2::getNFKDInstance(status);
    pieces_ = compatible ? icu::Normalizer2::getNFKDInstance(status) : icu::Normalizer2::getNFDInstance(status);
    compose_ = icu::Normalizer2::getNFCInstance(status);
    property_ = form == Form::nfc    ? UCHAR_NFC_QUICK_CHECK
                : form == Form::nfd  ? UCHAR_NFD_QUICK_CHECK
                : form == Form::nfkc ? UCHAR_NFKC_QUICK_CHECK
                                     : UCHAR_NFKD_QUICK_CHECK;
    if (U_FAILURE(status)) throw Error(std::string("getting a normaliser from ICU failed: ") + u_errorName(status));
  }

  // A later version changes no text that an earlier one would leave alone, except with characters new in it, and
  // these only keep others apart in the earlier one.
  bool leaves(std::string_view text) const {
    if (text.size() > INT32_MAX) return false;  // more than ICU takes at once
    if (has_many_marks(text)) return false;
    UErrorCode status = U_ZERO_ERROR;
    const icu::StringPiece input(text.data(), static_cast<std::int32_t>(text.size()));
    return check_->isNormalizedUTF8(input, status) && U_SUCCESS(status);
  }

  // Nothing before the character has to do with it or what follows.
  bool begins(char32_t c) const {
    return c < 0x80 || !is_known(c) || check_->hasBoundaryBefore(static_cast<UChar32>(c));
  }
  bool is_plain(char32_t c) const {
    return c < 0x80 || !is_known(c) ||
           (u_getIntPropertyValue(static_cast<UChar32>(c), property_) == UNORM_YES &&
            u_getCombiningClass(static_cast<UChar32>(c)) == 0);
  }

  void rewrite(std::string_view segment, Replay& out) {
    parts_.clear();
    for (std::size_t at = 0; at < segment.size();) decompose(next_char(segment, at));
    sort_marks();
    if (composes_) compose();
    for (const auto& part : parts_) out.put(part.c, part.change);
  }

 private:
  void add(char32_t c, bool first) { parts_.push_back({c, first ? 0 : 1, combining_class(c)}); }

  void decompose(char32_t c) {
    if (c >= kHangul && c < kHangulEnd) {
      const char32_t index = c - kHangul, last = index % 28;
      add(0x1100 + index / 588, true), add(0x1161 + index % 588 / 28, false);
      if (last > 0) add(0x11A7 + last, false);
    } else if (c < 0x80 || !is_known(c) || !pieces_->getDecomposition(static_cast<UChar32>(c), decomposition_)) {
      add(c, true);
    } else {
      for (std::int32_t i = 0; i < decomposition_.length(); i = decomposition_.moveIndex32(i, 1))
        add(static_cast<char32_t>(decomposition_.char32At(i)), i == 0);
    }
  }

  void sort_marks() {
    for (std::size_t begin = 0; begin < parts_.size();) {
      std::size_t end = begin + 1;
      if (parts_[begin].combining != 0)
        while (end < parts_.size() && parts_[end].combining != 0) ++end;
      if (end - begin > 1)
        std::stable_sort(parts_.begin() + static_cast<std::ptrdiff_t>(begin),
                         parts_.begin() + static_cast<std::ptrdiff_t>(end),
                         [](const Part& a, const Part& b) { return a.combining < b.combining; });
      begin = end;
    }
  }

  // The canonical composition algorithm (Unicode, section 3.11). A composed character takes what its parts take.
  void compose() {
    std::size_t kept = 0;
    std::ptrdiff_t starter = -1;  // the place of the last one
    int before = -1;              // class of what lies between; -1: nothing does
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Part part = parts_[i];
      if (starter >= 0 && (before < part.combining || before == -1)) {
        auto& base = parts_[static_cast<std::size_t>(starter)];
        const UChar32 both = is_known(part.c)
                                 ? compose_->composePair(static_cast<UChar32>(base.c), static_cast<UChar32>(part.c))
                                 : U_SENTINEL;
        if (both >= 0 && is_known(static_cast<char32_t>(both))) {
          base.c = static_cast<char32_t>(both);
          base.change += part.change - 1;
          continue;
        }
      }
      if (part.combining == 0) {
        starter = static_cast<std::ptrdiff_t>(kept), before = -1;
      } else {
        before = part.combining;
      }
      parts_[kept++] = part;
    }
    parts_.resize(kept);
  }

  const icu::Normalizer2 *check_ = nullptr, *pieces_ = nullptr, *compose_ = nullptr;
  UProperty property_ = UCHAR_NFC_QUICK_CHECK;
  bool composes_;
  icu::UnicodeString decomposition_;
  std::vector<Part> parts_;
};

}  // namespace

TextSpan Replay::take() {
  const std::string& old = text_.text();
  std::size_t end = edit_.at();
  next_char(old, end);
  last_ = edit_.origin(edit_.at(), end);
  known_ = true;
  edit_.skip(end);
  return last_;
}

void Replay::skip_characters(int n) {
  while (n-- > 0 && edit_.at() < text_.text().size()) take();
}

void Replay::put(char32_t c, int change) {
  char bytes[4];
  const std::size_t n = encode_char(c, bytes);
  const std::string_view text(bytes, n);
  if (change <= 0 && edit_.at() < text_.text().size()) {
    if (text_.text().compare(edit_.at(), n, text) == 0) {
      keep(edit_.at() + n);
    } else {
      edit_.put(text, take());
    }
    return skip_characters(-change);
  }
  if (!known_) {
    std::size_t begin = edit_.at();
    while (begin > 0 && (static_cast<unsigned char>(text_.text()[--begin]) & 0xC0) == 0x80) {
    }
    last_ = edit_.at() == 0
                ? TextSpan{}
                : text_.original(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(edit_.at()));
    known_ = true;
  }
  edit_.put(text, last_);
}

void normalise(AlignedText& text, Form form) {
  thread_local Normaliser all[] = {Normaliser(Form::nfc), Normaliser(Form::nfd), Normaliser(Form::nfkc),
                                   Normaliser(Form::nfkd)};
  Normaliser& with = all[static_cast<int>(form)];
  const std::string& old = text.text();
  if (with.leaves(old)) return;
  Replay out(text);
  const auto ascii = [&](std::size_t at) { return static_cast<unsigned char>(old[at]) < 0x80; };
  for (std::size_t at = 0; at < old.size();) {
    while (at + 1 < old.size() && ascii(at) && ascii(at + 1)) ++at;
    const std::size_t begin = at;
    bool plain = with.is_plain(next_char(old, at));
    for (std::size_t end = at; at < old.size(); at = end, plain = false)
      if (with.begins(next_char(old, end))) break;
    if (plain) continue;
    out.keep(begin);
    with.rewrite(std::string_view(old).substr(begin, at - begin), out);
  }
  out.edit().finish();
}

}  // namespace xp::pipeline
