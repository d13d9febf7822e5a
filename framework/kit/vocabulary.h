#pragma once
// Tokens by id, and what the reserved ones are for.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/tokenizer.h"

namespace xp {

using Purposes = std::map<std::string, TokenId, std::less<>>;

/// How the reserved tokens are written. Those beyond the standard ones are `open` purpose_index `close`.
struct ReservedNames {
  std::string pad = "<pad>", unk = "<unk>", begin = "<s>", end = "</s>", mask = "<mask>";
  std::string open = "<", close = ">";
};

class XP_API Vocabulary {
 public:
  Vocabulary() = default;
  /// The standard purposes get ids 0 to 4 ("pad", "unk", "begin", "end", "mask"), then those of `reserve` follow in
  /// the order of their names, "sentinel.0" first. Throws Error (Exit::usage) on a negative number or a purpose that
  /// is no name.
  Vocabulary(const ReservedNames& names, const Reserve& reserve);
  /// As read from a file. Throws Error (Exit::data) if a standard purpose is missing, an id is out of range or two
  /// tokens are equal.
  Vocabulary(std::vector<std::string> tokens, Purposes purposes);

  /// The id of a new text token; throws Error if the token is there.
  TokenId add(std::string token);

  std::size_t size() const { return tokens_.size(); }
  std::size_t reserved() const { return reserved_; }          ///< number of reserved ids
  const std::string& text(TokenId id) const;                  ///< throws Error if there is no such id
  const std::string& purpose(TokenId id) const;               ///< of a reserved id; empty for text
  std::optional<TokenId> find(std::string_view token) const;  ///< text and reserved tokens
  const Purposes& purposes() const { return purposes_; }
  TokenId unknown() const { return purposes_.find("unk")->second; }
  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  void index(TokenId id);
  void reserve_id(const std::string& purpose, std::string token);
  void set_purposes();

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  Purposes purposes_;
  std::vector<std::string> purpose_of_;  // by id
  std::size_t reserved_ = 0;
};

/// Throws Error (Exit::usage) if `vocab_size` leaves less than `least` ids beside the reserved ones.
XP_API void check_vocab_size(std::int64_t vocab_size, std::size_t reserved, std::size_t least, std::string_view what);
/// Warns with both numbers if a vocabulary came out smaller than asked for.
XP_API void warn_if_smaller(std::size_t size, std::int64_t vocab_size, std::string_view why);

}  // namespace xp
