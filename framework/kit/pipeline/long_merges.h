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
  /// Null where two rules make the same token, or a rule comes before one that makes its parts, which files of
  /// trained vocabularies have not, and for more than two million tokens.
  static std::unique_ptr<const LongMerges> of(const TokenTable& tokens, const MergeRules& rules,
                                              const std::array<TokenId, 256>& bytes);

  /// Whether a word, which is not empty, begins with a character beyond ASCII that some token has whole; a
  /// blank before it does not count.
  bool knows(std::string_view word) const { return trie_.labels_character(word, word[0] == ' ' ? 1 : 0); }
  /// Appends the ids of a word.
  void cut(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  /// How a token comes about, in one number: one more than the rank of its rule, then the two parts. Those of single
  /// bytes have rank 0. Numbers of different rules compare as their ranks.
  struct Origin {
    std::uint64_t bits = 0;
    std::uint64_t rank() const { return bits >> kRankShift; }
    TokenId left() const { return static_cast<TokenId>(bits >> kIdBits & kMostId); }
    TokenId right() const { return static_cast<TokenId>(bits & kMostId); }
  };
  struct Token {
    std::uint32_t size = 0;  ///< in bytes; 0: no merges end with it
    TokenId shorter = -1;    ///< the longest other token that it begins with
  };
  static constexpr int kIdBits = 21, kRankShift = 2 * kIdBits;
  static constexpr std::uint64_t kMostId = (std::uint64_t{1} << kIdBits) - 1;
  static constexpr std::uint64_t kMostRank = (std::uint64_t{1} << (64 - kRankShift)) - 1;

  explicit LongMerges(const MergeRules& rules) : rules_(rules) {}
  bool read_rules(const std::array<TokenId, 256>& bytes);
  void add_valid_tokens(const TokenTable& tokens);
  bool are_neighbours(TokenId left, TokenId right) const;
  bool stay_apart(TokenId left, TokenId right) const;
  Origin origin(TokenId id) const { return origins_[static_cast<std::size_t>(id)]; }
  const Token& token(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }

  const MergeRules& rules_;
  std::vector<Origin> origins_;
  std::vector<Token> tokens_;
  PieceTrie trie_;  ///< of the tokens that merges can end with
};

}  // namespace xp::pipeline
