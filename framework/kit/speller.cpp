#include "kit/speller.h"

#include <set>

namespace xp {

Speller::Speller(const Encoder& encoder, const std::vector<TokenId>& without) {
  const std::set<TokenId> away(without.begin(), without.end());
  for (TokenId id = 0; id < encoder.size(); ++id)
    if (auto key = encoder.key(id); key.kind == TokenKind::text && !key.bytes.empty() && !away.contains(id))
      left_.emplace(std::move(key), id);
}

std::vector<TokenId> Speller::spell(const TokenKey& key, bool smaller) const {
  std::vector<TokenId> out;
  auto start = key.word_start;
  for (std::size_t at = 0; at < key.bytes.size();) {
    auto found = left_.end();
    auto length = key.bytes.size() - at;
    if (smaller && at == 0) --length;
    for (; length > 0; --length) {
      TokenKey part{.bytes = key.bytes.substr(at, length), .word_start = start};
      if ((found = left_.find(part)) != left_.end()) break;
      part.word_start = WordStart::unknown;
      if ((found = left_.find(part)) != left_.end()) break;
    }
    if (length == 0) return {};  // no token is left for what comes here
    out.push_back(found->second), at += length, start = WordStart::no;
  }
  return out;
}

}  // namespace xp
