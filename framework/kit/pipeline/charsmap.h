#pragma once
// The precompiled character map of SentencePiece's normaliser: a double array (Darts) of UTF-8 keys, and
// replacements.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/unicode.h"

namespace xp::pipeline {

class XP_API Charsmap {
 public:
  /// `base64` is the file's text. Throws Error (Exit::data) naming `place`.
  Charsmap(const std::string& base64, std::string place);

  /// The replacement of the shortest key that `chunk` begins with. Throws if the map leads outside of itself.
  std::optional<std::string_view> find(std::string_view chunk) const;
  /// Whether a key begins with the text, or the text with a key; it holds no NUL.
  bool begins(std::string_view text) const;
  void apply(AlignedText& text) const;

 private:
  [[noreturn]] void broken(const std::string& what) const;
  std::string_view replacement(std::size_t at) const;
  bool is_plain(unsigned char c) const { return c < 0x80 && plain_[c]; }

  std::string place_;
  std::vector<std::uint32_t> units_;
  std::string replacements_;  // each ends in NUL
  bool plain_[128] = {};      // ASCII characters that begin no key and no longer cluster
};

}  // namespace xp::pipeline
