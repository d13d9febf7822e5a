#include "testing/toy_encoder.h"

#include <algorithm>

#include "base/text.h"
#include "schema/value.h"

namespace xp::testing {

ToyEncoder::ToyEncoder(const std::vector<std::string>& tokens, const std::vector<TokenId>& order) {
  std::vector<std::pair<std::string, TokenKey>> all;
  for (const char* purpose : {"pad", "unk", "begin", "end", "mask"})
    all.push_back({"[" + std::string(purpose) + "]", {.bytes = {}, .kind = TokenKind::special, .purpose = purpose}});
  for (const auto& token : tokens) {
    const bool inside = token.starts_with("##");
    all.push_back(
        {token, {.bytes = inside ? token.substr(2) : token, .word_start = inside ? WordStart::no : WordStart::yes}});
  }
  texts_.resize(all.size()), keys_.resize(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto id = order.empty() ? static_cast<TokenId>(i) : order.at(i);
    texts_.at(static_cast<std::size_t>(id)) = all[i].first;
    keys_.at(static_cast<std::size_t>(id)) = all[i].second;
    ids_.emplace(all[i].first, id);
    if (all[i].second.kind == TokenKind::special)
      purposes_.emplace(all[i].second.purpose, id);
    else
      by_bytes_.emplace(all[i].second.bytes, id);
  }
}

TokenId ToyEncoder::id(std::string_view text) const {
  const auto found = ids_.find(text);
  if (found == ids_.end()) throw Error("the toy vocabulary has no token " + backquoted(text));
  return found->second;
}

std::vector<TokenId> ToyEncoder::pieces(const TokenKey& key) const {
  std::vector<TokenId> out;
  for (std::string_view rest = key.bytes; !rest.empty();) {
    auto found = by_bytes_.end();
    for (auto n = rest.size(); n > 0 && found == by_bytes_.end(); --n) found = by_bytes_.find(rest.substr(0, n));
    if (found == by_bytes_.end()) return {};
    out.push_back(found->second);
    rest.remove_prefix(found->first.size());
  }
  return out;
}

std::vector<Token> ToyEncoder::encode(std::string_view text) const {
  std::vector<Token> out;
  std::uint32_t word = 0;
  for (std::size_t at = 0; at < text.size(); ++word) {
    const auto begin = std::min(text.find_first_not_of(" \n", at), text.size());
    const auto end = std::min(text.find_first_of(" \n", begin), text.size());
    auto place = static_cast<std::uint32_t>(begin);
    const auto found = pieces({.bytes = std::string(text.substr(begin, end - begin))});
    if (begin < end && found.empty()) out.push_back({*reserved("unk"), place, static_cast<std::uint32_t>(end), word});
    for (const auto id : found) {
      const auto length = static_cast<std::uint32_t>(key(id).bytes.size());
      out.push_back({id, place, place + length, word});
      place += length;
    }
    at = std::max(end, at + 1);
  }
  return out;
}

std::string ToyEncoder::decode(std::span<const TokenId> ids) const {
  std::string out;
  for (const auto one : ids) {
    const auto entry = key(one);
    if (entry.kind == TokenKind::special) continue;
    if (entry.word_start == WordStart::yes && !out.empty()) out += ' ';
    out += entry.bytes;
  }
  return out;
}

std::string ToyEncoder::json() const {
  List vocabulary;
  for (const auto& text : texts_) vocabulary.push_back(text);
  return to_json(Value(Table{{"vocabulary", std::move(vocabulary)}}));
}

}  // namespace xp::testing
