#include "kit/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace xp {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

void check(UErrorCode status, const char* what) {
  if (U_FAILURE(status)) throw Error(std::string(what) + " by ICU failed: " + u_errorName(status));
}

UChar32 icu(char32_t c) { return static_cast<UChar32>(c); }

bool in_categories(char32_t c, std::uint32_t mask) { return (U_GET_GC_MASK(icu(c)) & mask) != 0; }

bool in_unicode_8(char32_t c) {
  UVersionInfo age{};
  u_charAge(icu(c), age);
  return age[0] <= 8;
}

// Bytes of the sequence at the start of the text: {length, valid}. A broken one is as long as its longest valid
// start.
std::pair<std::size_t, bool> sequence(std::string_view t) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(t[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t want = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned low = 0x80, high = 0xBF;  // of the second byte: no overlong forms, no surrogates, nothing beyond U+10FFFF
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < want; ++i, low = 0x80, high = 0xBF)
    if (i >= t.size() || byte(i) < low || byte(i) > high) return {i, false};
  return {want, true};
}

// Bytes from `at` on that are ASCII or valid; stops at the first broken sequence.
std::size_t valid_prefix(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const auto [length, valid] = sequence(text.substr(at));
    if (!valid) break;
    at += length;
  }
  return at;
}

class StringSink final : public icu::ByteSink {
 public:
  explicit StringSink(std::string& out) : out_(out) {}
  void Append(const char* bytes, std::int32_t n) override { out_.append(bytes, static_cast<std::size_t>(n)); }

 private:
  std::string& out_;
};

const icu::Normalizer2& normalizer(int form) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* found = form == 0   ? icu::Normalizer2::getNFCInstance(status)
                      : form == 1 ? icu::Normalizer2::getNFDInstance(status)
                                  : icu::Normalizer2::getNFKCInstance(status);
  check(status, "getting a normaliser");
  return *found;
}

std::uint32_t u32(std::size_t n) { return static_cast<std::uint32_t>(n); }

}  // namespace

void append_char(std::string& out, char32_t c) {
  char bytes[4];
  out.append(bytes, encode_char(c, bytes));
}

std::string char_text(char32_t c) {
  std::string out;
  append_char(out, c);
  return out;
}

std::vector<char32_t> characters(std::string_view text) {
  std::vector<char32_t> out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) out.push_back(next_char(text, at));
  return out;
}

std::string repaired_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = valid_prefix(text, at);
    out.append(text.substr(at, end - at));
    if (end == text.size()) break;
    out += kReplacement;
    at = end + sequence(text.substr(end)).first;
  }
  return out;
}

// ASCII is most of most texts, and a call into ICU costs more than the answer.
bool is_white_space(char32_t c) {
  return c < 0x80 ? c == ' ' || (c >= '\t' && c <= '\r') : u_isUWhiteSpace(icu(c)) != 0;
}
bool is_letter(char32_t c) {
  return c < 0x80 ? (c | 0x20) >= 'a' && (c | 0x20) <= 'z' : in_categories(c, U_GC_L_MASK);
}
bool is_mark(char32_t c) { return c >= 0x80 && in_categories(c, U_GC_M_MASK); }
bool is_number(char32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : in_categories(c, U_GC_N_MASK); }

bool is_nonspacing_mark(char32_t c) {
  if (c == 0x1734) return true;  // other categories since, as the next
  if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return in_categories(c, U_GC_MN_MASK) && in_unicode_8(c);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  if (c == 0x166D || c == 0x111C9) return true;  // other categories since
  return in_categories(c, U_GC_P_MASK) && in_unicode_8(c);
}

bool is_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  return in_categories(c, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) && in_unicode_8(c);
}

bool is_cjk_ideograph(char32_t c) {
  if (c < 0x3400) return false;
  return (c >= 0x4E00 && c <= 0x9FFF) || c <= 0x4DBF || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

int script_of(char32_t c) {
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(icu(c), &status);
  check(status, "looking up a script");
  if (script == USCRIPT_COMMON || script == USCRIPT_INHERITED) return -1;
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA) return USCRIPT_HAN;
  return script;
}

void append_lower(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  } else if (c == 0x130) {  // the only character with a longer unconditional lower case (SpecialCasing.txt)
    out += "i\xCC\x87";
  } else {
    append_char(out, static_cast<char32_t>(u_tolower(icu(c))));
  }
}

namespace {

/// Calls visit(begin, end) for the stretches between an iterator's boundaries.
template <class Visit>
void between_breaks(std::unique_ptr<icu::BreakIterator> breaks, std::string_view text, UErrorCode status,
                    Visit visit) {
  check(status, "making an iterator over text");
  UText* opened = utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status);
  check(status, "opening a text");
  const std::unique_ptr<UText, UText* (*)(UText*)> input(opened, utext_close);
  breaks->setText(input.get(), status);
  check(status, "reading a text");
  std::int32_t begin = breaks->first();
  for (std::int32_t end = breaks->next(); end != icu::BreakIterator::DONE; begin = end, end = breaks->next())
    visit(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end));
}

}  // namespace

std::vector<TextSpan> word_spans(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> breaks(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
  std::vector<TextSpan> out;
  between_breaks(std::move(breaks), text, status, [&](std::uint32_t begin, std::uint32_t end) {
    const auto chars = characters(repaired_utf8(text.substr(begin, end - begin)));
    if (!std::all_of(chars.begin(), chars.end(), is_white_space)) out.push_back({begin, end});
  });
  return out;
}

std::vector<TextSpan> sentence_spans(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), status));
  std::vector<TextSpan> out;
  between_breaks(std::move(breaks), text, status, [&](std::uint32_t begin, std::uint32_t end) {
    const auto inner = trim(text.substr(begin, end - begin));
    const auto at = static_cast<std::uint32_t>(inner.data() - text.data());
    if (!inner.empty()) out.push_back({at, at + static_cast<std::uint32_t>(inner.size())});
  });
  return out;
}

TextTooLong::TextTooLong(std::size_t most)
    : Error("a text would grow to more than " + count(most, "byte") +
                "; the steps of a tokenizer may make it up to 128 times longer",
            Exit::data) {}
TextTooLong::~TextTooLong() = default;

void AlignedText::Writer::put(std::string_view bytes, TextSpan from, bool same) {
  if (bytes.size() > most_ - text_.size()) throw TextTooLong(most_);
  const bool joins = same && from.begin == source_;
  if (!same && !edits_.empty() && edits_.back().end == text_.size() && edits_.back().from == from &&
      edits_.back().end > edits_.back().begin) {
    // Neighbours that stand for the same bytes are one edit.
    text_ += bytes;
    edits_.back().end = u32(text_.size());
    return;
  }
  // What a step left out is an edit without output, so that the next bytes find their place.
  if (same && !joins) edits_.push_back({u32(text_.size()), u32(text_.size()), {source_, from.begin}});
  if (!same) edits_.push_back({u32(text_.size()), u32(text_.size() + bytes.size()), from});
  text_ += bytes;
  source_ = std::max(source_, from.end);
}

AlignedText::AlignedText(std::string_view original) : most_(most_rewritten(original.size())) {
  if (original.size() >= UINT32_MAX)
    throw Error("a text of " + std::to_string(original.size()) + " bytes; at most 4 GiB can be read at once",
                Exit::data);
  if (is_utf8(original)) {
    text_ = original;
    return;
  }
  std::size_t at = valid_prefix(original, 0);
  Writer out(original.size() + 8, UINT32_MAX);
  out.put(original.substr(0, at), {0, u32(at)}, true);
  while (at < original.size()) {
    const std::size_t bad = sequence(original.substr(at)).first;
    out.put(kReplacement, {u32(at), u32(at + bad)}, false);
    at += bad;
    const std::size_t end = valid_prefix(original, at);
    if (end > at) out.put(original.substr(at, end - at), {u32(at), u32(end)}, true);
    at = end;
  }
  take(std::move(out));
}

TextSpan AlignedText::map(std::size_t edits_before, std::uint32_t begin, std::uint32_t end, bool& same) const {
  // `edits_before` edits start at or before `begin`; the last of them decides.
  TextSpan out{begin, end};
  std::size_t at = edits_before;
  same = true;
  if (at > 0) {
    const auto& edit = edits_[at - 1];
    const bool inside = begin < edit.end;
    out.begin = inside ? edit.from.begin : edit.from.end + (begin - edit.end);
    same = !inside;
  }
  if (begin == end) return out.end = out.begin, out;
  while (at < edits_.size() && edits_[at].begin < end) ++at, same = false;
  if (at > 0) {
    const auto& edit = edits_[at - 1];
    out.end = end <= edit.end ? edit.from.end : edit.from.end + (end - edit.end);
  }
  return out;
}

TextSpan AlignedText::original(std::uint32_t begin, std::uint32_t end) const {
  const auto behind = std::upper_bound(edits_.begin(), edits_.end(), begin,
                                       [](std::uint32_t p, const Writer::Edit& edit) { return p < edit.begin; });
  bool same = true;
  return map(static_cast<std::size_t>(behind - edits_.begin()), begin, end, same);
}

AlignedText AlignedText::slice(std::uint32_t begin, std::uint32_t end) const {
  AlignedText out;
  out.text_ = text_.substr(begin, end - begin);
  out.most_ = std::min(most_, most_rewritten(out.text_.size()));
  const std::uint32_t from = original(begin, begin).begin;
  if (from > 0) out.edits_.push_back({0, 0, {from, from}});
  for (const auto& edit : edits_)
    if (edit.begin < end && edit.end > begin)
      out.edits_.push_back({std::max(edit.begin, begin) - begin, std::min(edit.end, end) - begin, edit.from});
    else if (edit.begin == edit.end && edit.begin > begin && edit.begin < end)
      out.edits_.push_back({edit.begin - begin, edit.end - begin, edit.from});
  return out;
}

TextSpan AlignedText::Cursor::original(std::uint32_t begin, std::uint32_t end, bool& same) {
  while (next_ < text_.edits_.size() && text_.edits_[next_].begin <= begin) ++next_;
  return text_.map(next_, begin, end, same);
}

AlignedText::Editor::Editor(AlignedText& text)
    : text_(text), cursor_(text), out_(text.text_.size() + text.text_.size() / 8 + 8, text.most_) {
  out_.edits_.reserve(text.edits_.size());
}

void AlignedText::Editor::keep(std::size_t end) {
  const std::string_view old = text_.text_;
  const auto& edits = text_.edits_;
  while (at_ < end) {
    // Edits without output stay behind as the last one passed: they say where the original goes on.
    while (next_ < edits.size() && edits[next_].end <= at_) ++next_;
    const bool inside = next_ < edits.size() && edits[next_].begin <= at_;
    const std::size_t stop = std::min<std::size_t>(end, next_ == edits.size() ? end
                                                        : inside              ? edits[next_].end
                                                                              : edits[next_].begin);
    const std::string_view stretch = old.substr(at_, stop - at_);
    if (inside) {
      out_.put(stretch, edits[next_].from, false);
    } else {
      const std::uint32_t begin =
          next_ == 0 ? u32(at_) : edits[next_ - 1].from.end + (u32(at_) - edits[next_ - 1].end);
      out_.put(stretch, {begin, begin + u32(stretch.size())}, true);
    }
    at_ = stop;
  }
}

TextSpan AlignedText::Editor::origin(std::size_t begin, std::size_t end) {
  bool same = true;
  return cursor_.original(u32(begin), u32(end), same);
}

void AlignedText::Editor::finish() {
  keep(text_.text_.size());
  finish_here();
}

void AlignedText::Editor::finish_here() { text_.take(std::move(out_)); }

void AlignedText::nfc() { normalise(0); }
void AlignedText::nfd() { normalise(1); }
void AlignedText::nfkc() { normalise(2); }

void AlignedText::normalise(int form) {
  const auto& with = normalizer(form);
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece input(text_.data(), static_cast<std::int32_t>(text_.size()));
  if (with.isNormalizedUTF8(input, status)) return;
  std::string result;
  result.reserve(text_.size() + text_.size() / 8);
  StringSink sink(result);
  icu::Edits changes;
  with.normalizeUTF8(0, input, sink, &changes, status);
  check(status, "normalising a text");

  Writer out(result.size(), most_);
  Cursor cursor(*this);
  bool same = true;
  for (auto change = changes.getFineIterator(); change.next(status);) {
    const auto from = static_cast<std::size_t>(change.sourceIndex()),
               to = static_cast<std::size_t>(change.destinationIndex());
    const auto old_size = static_cast<std::size_t>(change.oldLength()),
               size = static_cast<std::size_t>(change.newLength());
    if (change.hasChange()) {
      out.put(std::string_view(result).substr(to, size), cursor.original(u32(from), u32(from + old_size), same),
              false);
    } else if (edits_.empty()) {
      out.put(std::string_view(result).substr(to, size), {u32(from), u32(from + size)}, true);
    } else {
      for (std::size_t at = from; at < from + size;) {
        const std::size_t begin = at;
        next_char(text_, at);
        const TextSpan place = cursor.original(u32(begin), u32(at), same);
        out.put(std::string_view(text_).substr(begin, at - begin), place, same);
      }
    }
  }
  check(status, "normalising a text");
  take(std::move(out));
}

}  // namespace xp
