#pragma once
// Characters of UTF-8 text and normalisation that remembers where every byte came from. ICU stands behind it.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/export.h"

namespace xp {

/// Bytes [begin, end) of a text.
struct TextSpan {
  std::uint32_t begin = 0, end = 0;
  auto operator<=>(const TextSpan&) const = default;
};

/// The character that starts at `at`, which moves behind it. The text must be valid UTF-8.
inline char32_t take_char(const char*& at) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<unsigned char>(at[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return ++at, first;
  char32_t c = 0;
  if (first < 0xE0) {
    c = (first & 0x1F) << 6 | (byte(1) & 0x3F), at += 2;
  } else if (first < 0xF0) {
    c = (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), at += 3;
  } else {
    c = (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), at += 4;
  }
  return c;
}
/// The same at byte `at` of a text.
inline char32_t next_char(std::string_view text, std::size_t& at) {
  const char* place = text.data() + at;
  const char32_t c = take_char(place);
  at = static_cast<std::size_t>(place - text.data());
  return c;
}

/// Writes the character's UTF-8 to `out` and gives its length, 1 to 4.
inline std::size_t encode_char(char32_t c, char* out) {
  const auto put = [&](std::size_t i, char32_t byte) {
    out[i] = static_cast<char>(static_cast<unsigned char>(byte));
  };
  if (c < 0x80) return put(0, c), 1;
  if (c < 0x800) return put(0, 0xC0 | c >> 6), put(1, 0x80 | (c & 0x3F)), 2;
  if (c < 0x10000) return put(0, 0xE0 | c >> 12), put(1, 0x80 | (c >> 6 & 0x3F)), put(2, 0x80 | (c & 0x3F)), 3;
  put(0, 0xF0 | c >> 18), put(1, 0x80 | (c >> 12 & 0x3F)), put(2, 0x80 | (c >> 6 & 0x3F)), put(3, 0x80 | (c & 0x3F));
  return 4;
}
XP_API void append_char(std::string& out, char32_t c);
XP_API std::string char_text(char32_t c);
/// Characters of valid UTF-8.
XP_API std::vector<char32_t> characters(std::string_view text);
/// The text with U+FFFD for every maximal broken sequence (Unicode, section 3.9, "substitution of maximal subparts").
XP_API std::string repaired_utf8(std::string_view text);

XP_API bool is_white_space(char32_t c);  ///< Unicode property White_Space
XP_API bool is_letter(char32_t c);       ///< general categories L*
XP_API bool is_mark(char32_t c);         ///< general categories M*
XP_API bool is_number(char32_t c);       ///< general categories N*
// What BERT's tokenizers look at; the tokenizers library still decides these by Unicode 8.0.
XP_API bool is_nonspacing_mark(char32_t c);  ///< general category Mn
XP_API bool is_punctuation(char32_t c);      ///< general categories P*, and the ASCII symbols
XP_API bool is_control(char32_t c);          ///< general categories Cc, Cf and Co, but not tab and line ends
XP_API bool is_cjk_ideograph(char32_t c);    ///< the blocks of Han ideographs that are words one by one
/// A number for the script of a letter or mark: Han and the kana are one; inherited and common give -1.
XP_API int script_of(char32_t c);
/// Lower case of one character, whatever its neighbours: what the Unicode data file says, without language rules.
XP_API void append_lower(std::string& out, char32_t c);

/// Words and other stretches between the word boundaries of UAX 29 (with ICU's dictionaries for Thai, Chinese and
/// their like), white space left out. Any bytes are accepted.
XP_API std::vector<TextSpan> word_spans(std::string_view text);
/// Sentences by UAX 29 (section 5), without the white space around them. Any bytes are accepted.
XP_API std::vector<TextSpan> sentence_spans(std::string_view text);

/// Bytes that rewriting steps may make of a text of `given` bytes. Files say what the steps write, and must not ask
/// for any amount of memory; no normalisation form makes a character more than 11 times as long.
constexpr std::size_t most_rewritten(std::size_t given) {
  constexpr std::size_t kRoom = 1024, kTimes = 128, kMost = INT32_MAX;
  return given > kMost / kTimes - kRoom ? kMost : kRoom + kTimes * given;
}

/// A step made a text longer than most_rewritten() allows (Exit::data).
class XP_API TextTooLong : public Error {
 public:
  explicit TextTooLong(std::size_t most);
  ~TextTooLong() override;
};

/// A text that went through rewriting steps, with the way back to the bytes of the original.
class XP_API AlignedText {
 public:
  /// Invalid UTF-8 becomes U+FFFD per broken sequence. Throws Error (Exit::data) above 4 GiB. All that changes the
  /// text throws TextTooLong when it grows beyond most_rewritten().
  explicit AlignedText(std::string_view original);

  const std::string& text() const { return text_; }
  /// The bytes of the original that bytes [begin, end) of text() stand for; empty for what a step inserted.
  TextSpan original(std::uint32_t begin, std::uint32_t end) const;
  /// Bytes [begin, end) of text(), with the same original.
  AlignedText slice(std::uint32_t begin, std::uint32_t end) const;

  void nfc();
  void nfd();
  void nfkc();

  class Editor;

  /// Collects the output of a step.
  class Writer {
   public:
    /// `most`: bytes.
    Writer(std::size_t expected, std::size_t most) : most_(most) { text_.reserve(expected); }
    /// These bytes stand for `from` of the original; `same`: they are equal to them. Throws TextTooLong.
    void put(std::string_view bytes, TextSpan from, bool same);

    std::size_t size() const { return text_.size(); }

   private:
    friend class AlignedText;
    struct Edit {
      std::uint32_t begin, end;  ///< bytes of the new text
      TextSpan from;
    };
    std::string text_;
    std::size_t most_;
    std::vector<Edit> edits_;
    std::uint32_t source_ = 0;  // where the original continues if the next bytes are unchanged
  };

  /// Replaces the text, character by character: step(character, its bytes, its original bytes, unchanged, writer).
  template <class Step>
  void rewrite(Step step) {
    Writer out(text_.size() + text_.size() / 8 + 8, most_);
    Cursor cursor(*this);
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t begin = at;
      const char32_t c = next_char(text_, at);
      bool same = true;
      const TextSpan from = cursor.original(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at), same);
      step(c, std::string_view(text_).substr(begin, at - begin), from, same, out);
    }
    take(std::move(out));
  }

 private:
  /// original() for spans in ascending order.
  class Cursor {
   public:
    explicit Cursor(const AlignedText& text) : text_(text) {}
    TextSpan original(std::uint32_t begin, std::uint32_t end, bool& same);

   private:
    const AlignedText& text_;
    std::size_t next_ = 0;
  };

  AlignedText() = default;
  void take(Writer out) { text_ = std::move(out.text_), edits_ = std::move(out.edits_); }
  void normalise(int form);
  TextSpan map(std::size_t edits_before, std::uint32_t begin, std::uint32_t end, bool& same) const;

  std::string text_;
  std::size_t most_ = 0;             // bytes that it may grow to
  std::vector<Writer::Edit> edits_;  // what is not identical to the original, in order
};

/// Makes a new text from an old one, front to back: stretches are kept, left out or replaced. Positions are bytes of
/// the old text, between characters and ascending.
class XP_API AlignedText::Editor {
 public:
  explicit Editor(AlignedText& text);

  std::size_t at() const { return at_; }            ///< where the old text goes on
  std::size_t size() const { return out_.size(); }  ///< bytes of the new text so far
  void keep(std::size_t end);                       ///< the old text up to `end` stays, character by character
  void skip(std::size_t end) { at_ = end; }         ///< the old text up to `end` is left out
  /// What the character in bytes [begin, end) of the old text stands for; `begin` may not go back.
  TextSpan origin(std::size_t begin, std::size_t end);
  /// These bytes stand for `from` of the original.
  void put(std::string_view bytes, TextSpan from) { out_.put(bytes, from, false); }
  /// The same, in place of the old text up to `end`, a character.
  void replace(std::size_t end, std::string_view bytes) {
    const TextSpan from = origin(at_, end);
    put(bytes, from), at_ = end;
  }
  /// Keeps the rest; the text that was given becomes the new one.
  void finish();
  /// Leaves out the rest.
  void finish_here();

 private:
  AlignedText& text_;
  Cursor cursor_;
  Writer out_;
  std::size_t at_ = 0, next_ = 0;  // next_: the first edit of the old text that does not end before at_
};

}  // namespace xp
