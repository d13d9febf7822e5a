#pragma once
// Vectors of the new vocabulary's own tokens.
#include <unordered_map>

#include "kit/anchors.h"
#include "kit/subword_vectors.h"
#include "kit/word_files.h"

namespace xp {

/// Vectors of the old and of the new side: from the file that the field names, else the setting's, where `vectors`
/// are of both if there are no `source_vectors`. Throws Error (Exit::usage) if there are none.
XP_API NamedVectors source_vectors(const VocabSetting& setting, const std::vector<Value>& field);
XP_API NamedVectors target_vectors(const VocabSetting& setting, const std::vector<Value>& field);

/// Of each new token the vector whose word is its string ("▁the", "##ing"), as target_vectors()
/// gives them.
XP_API SubwordVectors token_vectors(const VocabSetting& setting, const std::vector<Value>& field);

/// Of each token of `encoder` the vector whose word is its string.
XP_API SubwordVectors token_vectors(const Encoder& encoder, const NamedVectors& table);

/// The same vectors, of which only those of anchors count as covered; `source` gets the old token of each.
XP_API SubwordVectors only_anchors(const SubwordVectors& tokens, const std::vector<Anchor>& anchors,
                                   std::unordered_map<TokenId, TokenId>& source);

}  // namespace xp
