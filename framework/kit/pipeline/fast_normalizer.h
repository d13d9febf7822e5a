#pragma once
// What a file's normalizer makes of single characters, so that most of a text is normalised by looking them up.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kit/pipeline/steps.h"

namespace xp::pipeline {

/// Immutable, used from any thread. A character is free if the normalizer rewrites it by itself wherever it stands
/// behind and before other free ones; a text can be cut between two of them if the second one is also the last or
/// stands before a free one, and the parts be normalised alone.
class FastNormalizer {
 public:
  /// Null where a step is none of those known here. `step` is what `file` was read to, null for null; it must outlive
  /// this.
  static std::unique_ptr<const FastNormalizer> make(const Json& file, const Normalizer* step);

  bool is_free(char32_t c) const { return c < codes_.size() && codes_[c] != kBound; }
  bool stays(char32_t c) const { return c < codes_.size() && codes_[c] == kSame; }  ///< free, and not changed
  /// Whether the ASCII character is a blank or becomes one, wherever it stands between free characters.
  bool is_blank(char c) const { return static_cast<unsigned char>(c) <= ' ' && blanks_[static_cast<std::size_t>(c)]; }
  /// Whether the text can be cut before the character at byte `at` because that is a blank.
  bool cuts_before(std::string_view text, std::size_t at) const {
    return at > 0 && is_blank(text[at]) && is_free(char_before(text, at)) && two_free(text, at + 1);
  }
  /// Whether a character stands at byte `at`, and it and the next one, if there is one, are free.
  bool two_free(std::string_view text, std::size_t at) const {
    return at < text.size() && is_free(next_char(text, at)) && (at == text.size() || is_free(peek(text, at)));
  }
  /// Appends the normalised text.
  void apply(std::string_view text, std::string& out) const;

 private:
  using Code = std::uint16_t;
  static constexpr Code kBound = 0, kSame = 1, kReplaced = 2;  // kReplaced + i: by replacements_[i]

  explicit FastNormalizer(const Normalizer* step) : step_(step) {}
  static char32_t peek(std::string_view text, std::size_t at) { return next_char(text, at); }
  static char32_t char_before(std::string_view text, std::size_t at) {
    while ((static_cast<unsigned char>(text[--at]) & 0xC0) == 0x80) {
    }
    return next_char(text, at);
  }
  bool read(const std::vector<const Json*>& steps);
  std::size_t free_end(std::string_view text, std::size_t at) const;
  std::size_t bound_end(std::string_view text, std::size_t at) const;
  void look_up(std::string_view text, std::string& out) const;
  void take_step(std::string_view text, std::string& out) const;

  const Normalizer* step_;
  std::vector<Code> codes_;  // by character
  std::vector<std::string> replacements_;
  bool blanks_[' ' + 1] = {};
};

}  // namespace xp::pipeline
