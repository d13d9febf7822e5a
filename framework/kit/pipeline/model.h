#pragma once
// The model of a `tokenizer.json`: cuts one word into tokens of its vocabulary.
#include <memory>
#include <optional>

#include "kit/pipeline/steps.h"
#include "kit/pipeline/token_table.h"

namespace xp::pipeline {

class MergeRules;

/// Immutable, used from any thread.
class XP_API Model {
 public:
  virtual ~Model();

  /// Appends the pieces of one word, which must be valid UTF-8, with where they end. Pieces with equal ends stand for
  /// the same bytes (bytes of an unknown character). An end can lie behind the word's: a model whose prefix or suffix
  /// falls back to bytes counts them too. Throws Error (Exit::data) if nothing covers a character and there is no
  /// unknown token.
  virtual void cut(std::string_view word, std::vector<CutPiece>& out) const = 0;
  /// The same for a stretch that does not begin its word.
  virtual void cut_inside(std::string_view word, std::vector<CutPiece>& out) const { cut(word, out); }
  /// The token of what nothing covers, if the model has one.
  virtual std::optional<TokenId> unknown() const = 0;
  /// The text that post-processors see for a piece: the token's, or for Unigram the unknown characters themselves.
  virtual std::string_view shown(TokenId id, std::string_view) const { return tokens_.text(id); }
  /// The token of a byte that nothing covers, "<0x0A>"; nothing without byte fallback.
  virtual std::optional<TokenId> byte_token(unsigned char) const { return std::nullopt; }
  /// What continues a word ("##") and what ends one ("</w>"); mostly empty.
  virtual std::string_view prefix() const { return {}; }
  virtual std::string_view suffix() const { return {}; }

  /// A character before which words can be cut without changing their pieces, unless it follows itself or a byte for
  /// which joins_behind() is true. Empty: none.
  virtual std::string_view joint() const { return {}; }
  virtual bool joins_behind(unsigned char) const { return false; }

  /// The merges of a BPE model whose tokens are written as in texts: without prefix, suffix and byte fallback.
  virtual const MergeRules* plain_merges() const { return nullptr; }
  /// Whether a word that is a token is that token, whatever its merges give.
  virtual bool takes_whole_words() const { return false; }

  const TokenTable& tokens() const { return tokens_; }

 protected:
  /// The vocabulary in the file's table { token: id }.
  void read_vocabulary(const Entry& entry);

  TokenTable tokens_;
};

/// Throws Error (Exit::data) for what does not fit, naming its place.
XP_API std::unique_ptr<const Model> read_model(const Entry& entry);

std::unique_ptr<const Model> read_bpe(const Entry& entry);
std::unique_ptr<const Model> read_unigram(const Entry& entry);

/// "<0x0A>", the name of a byte's token.
std::string byte_token_text(unsigned char byte);

}  // namespace xp::pipeline
