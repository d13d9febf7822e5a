#pragma once
// Texts of tokens cut into other tokens of the same vocabulary.
#include <map>
#include <vector>

#include "api/tokenizer.h"

namespace xp {

/// From the text's start always the longest token that there is.
class XP_API Speller {
 public:
  /// With the text tokens of `encoder` but those in `without`.
  explicit Speller(const Encoder& encoder, const std::vector<TokenId>& without = {});
  /// Tokens whose texts make that of `key`; empty if none is left for a part of it. `smaller`: the whole is none.
  std::vector<TokenId> spell(const TokenKey& key, bool smaller = false) const;

 private:
  std::map<TokenKey, TokenId> left_;
};

}  // namespace xp
