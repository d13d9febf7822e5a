#pragma once
// The `added_tokens` of a `tokenizer.json`: found in the text before the model sees it.
#include <map>

#include "kit/byte_trie.h"
#include "kit/pipeline/model.h"

namespace xp::pipeline {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  std::string normalised;  ///< what is searched for and decoded; `content` unless the token is `normalized`
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

/// A stretch of text that is an added token, or none.
struct AddedMatch {
  const AddedToken* token = nullptr;  ///< null: text between
  std::uint32_t begin = 0, end = 0;
};

class XP_API AddedTokens {
 public:
  /// `entry`: the whole file. As the library does it, a token whose text is in the model's vocabulary has that id,
  /// and each other one the next free id, whatever the file says; a difference is logged.
  AddedTokens(const Entry& entry, const Model& model, const Normalizer* normalizer);

  /// Appends the tokens found and the text between them, in order, covering the text. `normalised`: looks for the
  /// tokens that are found in normalised text, else for the others. With lstrip and rstrip, stretches can overlap.
  void split(std::string_view text, bool normalised, std::vector<AddedMatch>& out) const;

  /// Whether some are looked for in normalised text.
  bool any_normalised() const { return normalised_.any; }

  const AddedToken* find(TokenId id) const;
  std::optional<TokenId> find(std::string_view content) const;
  /// Whether decoding leaves this text out.
  bool is_special(std::string_view content) const { return specials_.contains(content); }
  const std::map<TokenId, AddedToken>& all() const { return tokens_; }
  TokenId end() const { return tokens_.empty() ? 0 : tokens_.rbegin()->first + 1; }

 private:
  /// The texts to look for, by their first bytes.
  struct Search {
    ByteTrie trie;
    bool first[256] = {};
    std::string only;  ///< the first byte of all, if they share one
    bool any = false;
    std::vector<const AddedToken*> tokens;
  };

  void add(AddedToken token, std::int64_t file_id, const Model& model);
  void prepare(Search& search, bool normalised);

  std::map<TokenId, AddedToken> tokens_;
  std::map<std::string, TokenId, std::less<>> ids_;
  std::map<std::string, bool, std::less<>> specials_;
  Search raw_, normalised_;
  TokenId next_ = 0;
  std::size_t renumbered_ = 0;
};

}  // namespace xp::pipeline
