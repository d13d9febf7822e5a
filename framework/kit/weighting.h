#pragma once
// Weights of source tokens from how near they are to a target token.
#include <string>
#include <utility>
#include <vector>

#include "kit/subword_vectors.h"

namespace xp {

enum class Weighting : std::uint8_t { softmax, sparsemax, entmax15 };

/// Names of a `weighting` parameter.
inline std::vector<std::pair<std::string, Weighting>> weighting_names() {
  return {{"softmax", Weighting::softmax}, {"sparsemax", Weighting::sparsemax}, {"entmax15", Weighting::entmax15}};
}

/// Weights of `near` (best first), of scores cosine / temperature: softmax; the projection on the simplex (sparsemax,
/// Martins and Astudillo 2016, alg. 1); 1.5-entmax (Peters et al. 2019, alg. 2). They sum to 1; tokens of weight 0
/// are left out.
XP_API std::vector<MixPart> weigh(const std::vector<Near>& near, Weighting weighting, double temperature);

/// For each of `rows` of `of` the weights over its `neighbours` nearest covered tokens of `among`; 0: over all of
/// them, of which sparse weightings look at no more than they use. Empty where there is nothing near.
XP_API std::vector<std::vector<MixPart>> weighted_neighbours(const SubwordVectors& of,
                                                             const std::vector<TokenId>& rows,
                                                             const SubwordVectors& among, std::int64_t neighbours,
                                                             Weighting weighting, double temperature);

}  // namespace xp
