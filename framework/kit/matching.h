#pragma once
// Which tokens of two vocabularies are the same, by canonical keys: bytes, word start, kind; specials by purpose.
#include <optional>
#include <string_view>
#include <vector>

#include "api/tokenizer.h"

namespace xp {

enum class MatchLevel : std::uint8_t {
  exact,       ///< same bytes, same word start (one that is unknown fits both)
  word_start,  ///< same bytes, any word start
  casefold,    ///< same bytes after Unicode case folding, any word start
};
XP_API std::string_view match_name(MatchLevel level);

struct Match {
  TokenId source = 0;
  MatchLevel level = MatchLevel::exact;
  bool special = false;
};

/// For each target id its source id, by the first of `levels` that finds one; among several the text token, then the
/// one that is spelt the same, then the lowest id. Specials match by purpose alone.
XP_API std::vector<std::optional<Match>> match_vocabularies(const Encoder& source, const Encoder& target,
                                                            const std::vector<MatchLevel>& levels);

}  // namespace xp
