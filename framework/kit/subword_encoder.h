#pragma once
// What encoders of words have in common: text is normalised, split into words, and each word cut into pieces.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kit/pretokenize.h"
#include "kit/tokenizer_json.h"
#include "kit/word_cache.h"
#include "kit/word_counts.h"

namespace xp {

/// Tokens keep the bytes of the input that they stand for through every step; a cache remembers how words were cut.
class XP_API SubwordEncoder : public Encoder {
 public:
  ~SubwordEncoder() override;

  std::int64_t size() const override { return static_cast<std::int64_t>(vocabulary_.size()); }
  std::vector<Token> encode(std::string_view text) const override;
  std::string text(TokenId id) const override { return vocabulary_.text(id); }
  TokenKey key(TokenId id) const override;
  std::vector<TokenId> pieces(const TokenKey& key) const override;
  const Purposes& purposes() const override { return vocabulary_.purposes(); }
  std::string json() const override;

  /// How many tokens encode() makes of a text in which these words occur as often as counted. `threads`: 0 takes one
  /// per core.
  std::int64_t tokens_of(const std::vector<WordCount>& words, std::int64_t threads) const;

 protected:
  explicit SubwordEncoder(Vocabulary vocabulary);

  virtual AlignedText normalised(std::string_view text) const = 0;
  virtual void split(std::string_view text, const VisitWord& visit) const = 0;
  /// Appends the pieces of one word of normalised text.
  virtual void cut(std::string_view word, std::vector<CutPiece>& out) const = 0;
  virtual TokenKey text_key(TokenId id) const = 0;
  /// The word that another vocabulary's text or byte token stands for; empty: none.
  virtual std::vector<TokenId> text_pieces(const TokenKey& key) const = 0;
  /// The file's steps and model; `vocabulary`: with `vocab` (and `merges`), which takes time.
  virtual TokenizerParts parts(bool vocabulary) const = 0;

  /// The ids of one word, or nothing if one of them is unknown.
  std::vector<TokenId> known_pieces(std::string_view word) const;
  const Vocabulary& vocabulary() const { return vocabulary_; }
  bool is_special(TokenId id) const { return !vocabulary_.purpose(id).empty(); }

 private:
  Vocabulary vocabulary_;
  mutable WordCache cache_;
};

}  // namespace xp
