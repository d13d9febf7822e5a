#pragma once
// Vectors of a tokenizer's tokens from vectors of words, and nearest tokens between two vocabularies.
#include "api/tensor.h"
#include "api/vocab_initializer.h"
#include "kit/nearest.h"

namespace xp {

struct SubwordVectors {
  at::Tensor vectors;  ///< [rows, dim] float, unit length; zero where no word has the token
  std::vector<bool> covered;
};

/// How words count for the tokens in them.
struct WordUse {
  bool plain = true;                ///< the word as it is, besides the word after a space
  bool capitalised = true;          ///< also the capitalised word after a space
  bool specials = false;            ///< whether the token for what is unknown gets a vector from words it stands in
  std::vector<double> counts = {};  ///< how often each word occurs; empty: all alike
  const std::vector<TokenId>* tokens = nullptr;  ///< those that get a row, in this order; null: all
};

/// A token's vector is the mean of the vectors of all words that have it in one of their writings: the word, the word
/// after a space, and the capitalised word after a space (OFA, Liu et al. 2023, as released), by their counts.
/// `words` and `vectors` are those of a static_vectors artifact; word i takes vector order[i], so that a permutation
/// can destroy the geometry. Throws Error (Exit::data) if their numbers do not fit.
XP_API SubwordVectors subword_vectors(const Encoder& encoder, const Strings& words, const Floats& vectors,
                                      const std::vector<std::size_t>& order, const WordUse& use = {});

/// Of each token the places in `words` of all words that have it, in their order; a word that has it in several
/// writings stands there once for each. Counts and tokens of `use` are not read.
XP_API std::vector<std::vector<std::uint32_t>> word_sets(const Encoder& encoder, const Strings& words,
                                                         const WordUse& use = {});

struct Near {
  TokenId token = 0;
  double cosine = 0;
};
/// For each of `rows` of `of` its k nearest covered tokens of `among`, nearest first, ties by id.
XP_API std::vector<std::vector<Near>> nearest_tokens(const SubwordVectors& of, const std::vector<TokenId>& rows,
                                                     const SubwordVectors& among, std::int64_t k);
/// For each of `rows` the covered tokens of `among` that support_rows() finds, nearest first, ties by id.
XP_API std::vector<std::vector<Near>> supporting_tokens(const SubwordVectors& of, const std::vector<TokenId>& rows,
                                                        const SubwordVectors& among, const LeastCosine& least);

/// Which word takes whose vector: the identity, or a permutation drawn from `random`.
XP_API std::vector<std::size_t> vector_order(std::size_t words, bool shuffled, RandomStream random);

}  // namespace xp
