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
  if (static_cast<std::uint64_t>(tokens.end()) > kMostId) return nullptr;
  out->origins_.resize(static_cast<std::size_t>(tokens.end()));
  out->tokens_.resize(out->origins_.size());
  if (!out->read_rules(bytes)) return nullptr;
  out->add_valid_tokens(tokens);
  return out;
}

bool LongMerges::read_rules(const std::array<TokenId, 256>& bytes) {
  bool plain = true;
  rules_.for_each([&](TokenId left, TokenId right, const MergeRules::Rule& rule) {
    auto& made = origins_[static_cast<std::size_t>(rule.result)];
    plain = plain && made.rank() == 0 && rule.rank < kMostRank;
    made.bits = (rule.rank + std::uint64_t{1}) << kRankShift | static_cast<std::uint64_t>(left) << kIdBits |
                static_cast<std::uint64_t>(right);
  });
  for (const TokenId byte : bytes) {
    plain = plain && origin(byte).rank() == 0;
    tokens_[static_cast<std::size_t>(byte)].size = 1;
  }
  for (const auto made : origins_)
    if (made.rank() != 0)
      plain = plain && origin(made.left()).rank() < made.rank() && origin(made.right()).rank() < made.rank();
  return plain;
}

// A token is what merges end with only if its two parts are, and no merge across the two comes before its own.
void LongMerges::add_valid_tokens(const TokenTable& tokens) {
  std::vector<TokenId> by_rank;
  for (TokenId id = 0; id < tokens.end(); ++id)
    if (origin(id).rank() != 0 || token(id).size == 1) by_rank.push_back(id);
  std::sort(by_rank.begin(), by_rank.end(), [&](TokenId a, TokenId b) { return origin(a).bits < origin(b).bits; });
  std::vector<std::pair<std::string, TokenId>> valid;
  for (const TokenId id : by_rank) {
    const auto made = origin(id);
    auto& size = tokens_[static_cast<std::size_t>(id)].size;
    if (made.rank() != 0 && token(made.left()).size > 0 && token(made.right()).size > 0 &&
        stay_apart(made.left(), made.right()))
      size = token(made.left()).size + token(made.right()).size;
    if (size > 0) valid.emplace_back(*from_byte_level(tokens.text(id)), id);
  }
  trie_ = PieceTrie({valid.begin(), valid.end()});
  for (const auto& [text, id] : valid)
    trie_.prefixes(text, 0,
                   [&, size = text.size(), whole = &tokens_[static_cast<std::size_t>(id)]](std::size_t length,
                                                                                           std::int32_t shorter) {
                     if (length < size) whole->shorter = shorter;
                   });
}

bool LongMerges::are_neighbours(TokenId left, TokenId right) const {
  return rules_.find(left, right).rank == MergeRules::kNone && stay_apart(left, right);
}

// Undoes the later of the two tokens' last merges, again and again: a merge across the border must not have come
// first. Of equal ranks the one further left comes first.
bool LongMerges::stay_apart(TokenId left, TokenId right) const {
  for (;;) {
    const Origin before = origin(left), behind = origin(right);
    if ((before.bits | behind.bits) >> kRankShift == 0) return true;
    // Which of the two is later is hard to foresee: chosen without a branch.
    const bool first = before.bits > behind.bits;
    const auto limit = first ? before.rank() : behind.rank() + 1;  // ranks from here on come too late
    left = first ? before.right() : left;
    right = first ? right : behind.left();
    if (const auto rank = rules_.find(left, right).rank; rank != MergeRules::kNone && rank + 1 < limit) return false;
  }
}

void LongMerges::cut(std::string_view word, std::vector<TokenId>& ids) const {
  static thread_local std::vector<bool> dead;  // places that no sequence of tokens leads on from
  dead.assign(word.size() + 1, false);
  const std::size_t first = ids.size();
  std::size_t at = 0;
  auto next = trie_.longest(word, 0);
  while (next.id >= 0) {
    const std::size_t end = at + next.length;
    if (!dead[end] && (ids.size() == first || are_neighbours(ids.back(), next.id))) {
      ids.push_back(next.id);
      at = end;
      next = at < word.size() ? trie_.longest(word, at) : PieceTrie::Match{};
    } else if (const auto shorter = token(next.id).shorter; shorter >= 0) {
      next = {token(shorter).size, shorter};
    } else if (ids.size() > first) {
      dead[at] = true;
      next = {token(ids.back()).size, ids.back()};
      ids.pop_back();
      at -= next.length;
    } else {
      throw Error("no sequence of tokens covers " + backquoted(printable(word)));  // every byte has a token
    }
  }
}

}  // namespace xp::pipeline
