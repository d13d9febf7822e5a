#pragma once
// A vocabulary that stands in the test itself, so that tests of initializers need no fitted tokenizer.
#include <map>
#include <string>
#include <vector>

#include "api/tokenizer.h"

namespace xp::testing {

/// The five standard reserved ids, then these tokens; splits greedily by the longest match, words start after a
/// blank.
class ToyEncoder final : public Encoder {
 public:
  /// A token that starts with "##" continues a word. `order` permutes all ids (row i of the plain vocabulary becomes
  /// order[i]); empty: as they stand.
  explicit ToyEncoder(const std::vector<std::string>& tokens, const std::vector<TokenId>& order = {});

  /// The id of a token by its text; throws Error if there is none.
  TokenId id(std::string_view text) const;

  std::int64_t size() const override { return static_cast<std::int64_t>(texts_.size()); }
  std::vector<Token> encode(std::string_view text) const override;
  std::string decode(std::span<const TokenId> ids) const override;
  std::string text(TokenId id) const override { return texts_.at(static_cast<std::size_t>(id)); }
  TokenKey key(TokenId id) const override { return keys_.at(static_cast<std::size_t>(id)); }
  std::vector<TokenId> pieces(const TokenKey& key) const override;
  const std::map<std::string, TokenId, std::less<>>& purposes() const override { return purposes_; }
  std::string json() const override;

 private:
  std::vector<std::string> texts_;
  std::vector<TokenKey> keys_;
  std::map<std::string, TokenId, std::less<>> ids_, by_bytes_, purposes_;
};

}  // namespace xp::testing
