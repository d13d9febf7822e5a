#include "kit/unigram.h"

#include <algorithm>

#include "kit/unicode.h"

namespace xp {

void UnigramModel::add(std::string_view text, std::int32_t id, double score) {
  if (static_cast<std::size_t>(id) >= scores_.size()) scores_.resize(static_cast<std::size_t>(id) + 1);
  scores_[static_cast<std::size_t>(id)] = score;
  trie_.insert(text, id);
}

void UnigramModel::cut(std::string_view word, std::vector<CutPiece>& out) const {
  constexpr std::uint32_t kNowhere = UINT32_MAX;
  struct Node {
    double score = 0;
    std::uint32_t from = kNowhere;
    std::int32_t id = 0;
  };
  static thread_local std::vector<Node> best;
  best.assign(word.size() + 1, {});
  for (std::size_t at = 0; at < word.size();) {
    std::size_t next = at;
    next_char(word, next);
    const double here = best[at].score;
    const auto offer = [&](std::size_t end, std::int32_t id, double score) {
      auto& node = best[end];
      if (node.from == kNowhere || here + score > node.score)
        node = {here + score, static_cast<std::uint32_t>(at), id};
    };
    bool single = false;  // a character with a piece of its own is never unknown
    trie_.prefixes(word, at, [&](std::size_t length, std::int32_t id) {
      offer(at + length, id, scores_[static_cast<std::size_t>(id)]);
      single = single || at + length == next;
    });
    if (!single) offer(next, unknown_, unknown_score_);
    at = next;
  }
  const std::size_t first = out.size();
  for (std::size_t end = word.size(); end > 0; end = best[end].from)
    out.push_back({best[end].id, static_cast<std::uint32_t>(end)});
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

}  // namespace xp
