#pragma once
// Byte-pair encoding of long words in linear time, without a queue: tokens are taken longest first from the left, and
// each must be compatible with the one before it.
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "kit/pipeline/merge_rules.h"
#include "kit/pipeline/piece_trie.h"
#include "kit/pipeline/token_table.h"

namespace xp::pipeline {

/// What merges give is the one sequence of tokens in which every two neighbours are what merges make of the two alone
/// (van Antwerpen and Neubeck 2024, the crate `bpe` of rust-gems). Immutable, used from any thread.
class LongMerges {
 public:
  /// Null where two rules make the same token, or a rule comes before one that makes its parts: files of trained
  /// vocabularies have neither.
  static std::unique_ptr<const LongMerges> of(const TokenTable& tokens, const MergeRules& rules,
                                              const std::array<TokenId, 256>& bytes);

  /// Appends the ids of a word.
  void cut(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  /// How a token comes about. Those of single bytes have rank 0, others one more than their rule.
  struct Origin {
    TokenId left = -1, right = -1;
    std::uint32_t rank = 0;
    std::uint32_t size = 0;  ///< in bytes; 0: no merges end with it
    TokenId shorter = -1;    ///< the longest other token that it begins with
  };

  explicit LongMerges(const MergeRules& rules) : rules_(rules) {}
  bool read_rules(const std::array<TokenId, 256>& bytes);
  void add_valid_tokens(const TokenTable& tokens);
  bool are_neighbours(TokenId left, TokenId right) const;
  bool stay_apart(TokenId left, TokenId right) const;
  TokenId longest(std::string_view text, std::size_t at) const;
  const Origin& origin(TokenId id) const { return origins_[static_cast<std::size_t>(id)]; }

  const MergeRules& rules_;
  std::vector<Origin> origins_;
  PieceTrie trie_;  ///< of the tokens that merges can end with
};

}  // namespace xp::pipeline
