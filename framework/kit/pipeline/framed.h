#pragma once
// What a tokenizer makes of a text for a model: ids and everything that goes along with them.
#include <cstdint>
#include <string_view>
#include <vector>

#include "api/tokenizer.h"
#include "kit/unicode.h"

namespace xp::pipeline {

/// All vectors have the length of `ids`.
struct Framed {
  std::vector<TokenId> ids;
  std::vector<TextSpan> offsets;        ///< bytes of the token's text as it was given; empty for special tokens
  std::vector<std::int32_t> words;      ///< number of the word in its text; -1: none
  std::vector<std::int32_t> types;      ///< segment ids
  std::vector<std::uint8_t> attention;  ///< 0 for padding
  std::vector<std::uint8_t> special;    ///< 1 for tokens that post-processing or padding added
  std::vector<std::int32_t> sequences;  ///< 0: the first text, 1: the second, -1: neither

  std::size_t size() const { return ids.size(); }
};

/// Spaces at the ends of a token's text, in characters.
struct TokenBlanks {
  std::uint32_t leading = 0, trailing = 0;
};

/// A Framed in the making: one text, or a run of special tokens, or several of these.
struct FramePart : Framed {
  struct Range {
    std::int32_t sequence = 0;
    std::uint32_t begin = 0, end = 0;
  };
  std::vector<TokenBlanks> blanks;  ///< of each token, or empty if nobody trims
  std::vector<Range> ranges;        ///< which tokens belong to which text; at most one range each
  std::string_view text;            ///< that the offsets point into

  void set_range(std::int32_t sequence, std::uint32_t begin, std::uint32_t end);
  void set_types(std::int32_t type) { types.assign(ids.size(), type); }
  /// Adds `n` tokens without offsets at the front or the back.
  void insert(bool front, std::size_t n, TokenId id, std::int32_t type, bool attended);
  void append(const FramePart& other);
  /// Keeps the first or the last `n` tokens.
  void keep(std::size_t n, bool first);
  /// Fills `sequences` from `ranges`: without any, all tokens belong to the first text.
  void finish();
};

}  // namespace xp::pipeline
