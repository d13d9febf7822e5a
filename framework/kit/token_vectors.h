#pragma once
// Vectors of the new vocabulary's own tokens.
#include <unordered_map>

#include "kit/anchors.h"
#include "kit/subword_vectors.h"
#include "kit/word_files.h"

namespace xp {

/// Of each new token the vector whose word is its string ("▁the", "##ing"), from the file that the field names, else
/// from the setting's vectors. Throws Error (Exit::usage) if there is neither.
XP_API SubwordVectors token_vectors(const VocabSetting& setting, const std::vector<Value>& field);

/// Of each token of `encoder` the vector whose word is its string.
XP_API SubwordVectors token_vectors(const Encoder& encoder, const NamedVectors& table);

/// The same vectors, of which only those of anchors count as covered; `source` gets the old token of each.
XP_API SubwordVectors only_anchors(const SubwordVectors& tokens, const std::vector<Anchor>& anchors,
                                   std::unordered_map<TokenId, TokenId>& source);

}  // namespace xp
