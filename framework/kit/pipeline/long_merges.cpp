#include "kit/pipeline/long_merges.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"

namespace xp::pipeline {

std::unique_ptr<const LongMerges> LongMerges::of(const TokenTable& tokens, const MergeRules& rules,
                                                 const std::array<TokenId, 256>& bytes) {
  std::unique_ptr<LongMerges> out(new LongMerges(rules));
  out->origins_.resize(static_cast<std::size_t>(tokens.end()));
  if (!out->read_rules(bytes)) return nullptr;
  out->add_valid_tokens(tokens);
  return out;
}

bool LongMerges::read_rules(const std::array<TokenId, 256>& bytes) {
  bool plain = true;
  rules_.for_each([&](TokenId left, TokenId right, const MergeRules::Rule& rule) {
    auto& made = origins_[static_cast<std::size_t>(rule.result)];
    plain = plain && made.rank == 0;
    made.left = left, made.right = right, made.rank = rule.rank + 1;
  });
  for (const TokenId byte : bytes) {
    auto& single = origins_[static_cast<std::size_t>(byte)];
    plain = plain && single.rank == 0;
    single.size = 1;
  }
  for (const auto& made : origins_)
    if (made.rank != 0) plain = plain && origin(made.left).rank < made.rank && origin(made.right).rank < made.rank;
  return plain;
}

// A token is what merges end with only if its two parts are, and no merge across the two comes before its own.
void LongMerges::add_valid_tokens(const TokenTable& tokens) {
  std::vector<TokenId> by_rank;
  for (TokenId id = 0; id < tokens.end(); ++id)
    if (origin(id).rank != 0 || origin(id).size == 1) by_rank.push_back(id);
  std::sort(by_rank.begin(), by_rank.end(), [&](TokenId a, TokenId b) { return origin(a).rank < origin(b).rank; });
  std::vector<std::pair<std::string, TokenId>> valid;
  for (const TokenId id : by_rank) {
    auto& made = origins_[static_cast<std::size_t>(id)];
    if (made.rank != 0 && origin(made.left).size > 0 && origin(made.right).size > 0 &&
        stay_apart(made.left, made.right))
      made.size = origin(made.left).size + origin(made.right).size;
    if (made.size > 0) valid.emplace_back(*from_byte_level(tokens.text(id)), id);
  }
  trie_ = PieceTrie({valid.begin(), valid.end()});
  for (const auto& [text, id] : valid)
    trie_.prefixes(text, 0,
                   [&, size = text.size(), made = &origins_[static_cast<std::size_t>(id)]](std::size_t length,
                                                                                           std::int32_t shorter) {
                     if (length < size) made->shorter = shorter;
                   });
}

bool LongMerges::are_neighbours(TokenId left, TokenId right) const {
  return rules_.find(left, right).rank == MergeRules::kNone && stay_apart(left, right);
}

// Undoes the later of the two tokens' last merges, again and again: a merge across the border must not have come
// first. Of equal ranks the one further left comes first.
bool LongMerges::stay_apart(TokenId left, TokenId right) const {
  for (;;) {
    const auto &before = origin(left), &behind = origin(right);
    std::uint32_t limit = 0;  // ranks from here on come too late
    if (before.rank > behind.rank) {
      limit = before.rank, left = before.right;
    } else if (behind.rank > 0) {
      limit = behind.rank + 1, right = behind.left;
    } else {
      return true;
    }
    if (const auto rank = rules_.find(left, right).rank; rank != MergeRules::kNone && rank + 1 < limit) return false;
  }
}

TokenId LongMerges::longest(std::string_view text, std::size_t at) const {
  TokenId out = -1;
  trie_.prefixes(text, at, [&](std::size_t, std::int32_t id) { out = id; });
  return out;
}

void LongMerges::cut(std::string_view word, std::vector<TokenId>& ids) const {
  static thread_local std::vector<bool> dead;  // places that no sequence of tokens leads on from
  dead.assign(word.size() + 1, false);
  const std::size_t first = ids.size();
  std::size_t at = 0;
  TokenId token = longest(word, 0);
  while (token >= 0) {
    const std::size_t end = at + origin(token).size;
    if (!dead[end] && (ids.size() == first || are_neighbours(ids.back(), token))) {
      ids.push_back(token);
      at = end;
      token = at < word.size() ? longest(word, at) : -1;
    } else if (origin(token).shorter >= 0) {
      token = origin(token).shorter;
    } else if (ids.size() > first) {
      dead[at] = true;
      token = ids.back();
      ids.pop_back();
      at -= origin(token).size;
    } else {
      throw Error("no sequence of tokens covers " + backquoted(printable(word)));  // every byte has a token
    }
  }
}

}  // namespace xp::pipeline
