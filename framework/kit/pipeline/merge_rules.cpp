#include "kit/pipeline/merge_rules.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace xp::pipeline {
namespace {

constexpr std::size_t kShortWord = 32;  // symbols for which looking at every pair beats a queue

struct MergeStep {
  std::uint32_t rank, at;
  TokenId result;
  bool operator<(const MergeStep& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
};

/// What long words need; kept, so that a word allocates nothing.
struct LongWordScratch {
  std::vector<std::uint32_t> next, before;
  std::vector<MergeStep> queue;
};

}  // namespace

MergeRules::MergeRules() { resize(64); }

void MergeRules::resize(std::size_t places) {
  const auto old = std::exchange(rules_, std::vector<Rule>(places));
  mask_ = places - 1;
  shift_ = 64 - std::countr_zero(places), bit_shift_ = shift_ - kBitsOfPlace;
  bits_.assign((places << kBitsOfPlace) / 64, 0);
  used_ = 0;
  for (const auto& rule : old)
    if (rule.key != UINT64_MAX)
      set(static_cast<TokenId>(rule.key >> 32), static_cast<TokenId>(rule.key), rule.rank, rule.result);
}

void MergeRules::reserve(std::size_t rules) {
  if (const auto wanted = std::bit_ceil(rules * 2 + 1); wanted > rules_.size()) resize(wanted);
}

void MergeRules::set(TokenId left, TokenId right, std::uint32_t rank, TokenId result) {
  if ((used_ + 1) * 2 > rules_.size()) resize(rules_.size() * 2);
  const std::uint64_t key = key_of(left, right), hash = hash_of(key), bit = hash >> bit_shift_;
  auto& rule = rules_[place_of(key, hash)];
  if (rule.key == UINT64_MAX) ++used_;
  rule = {key, rank, result};
  bits_[bit / 64] |= std::uint64_t{1} << bit % 64;
}

void MergeRules::apply(MergeWord& word, bool growing) const {
  if (word.ids.size() < 2) return;
  if (growing && word.ids.size() <= kShortWord) {
    apply_short(word);
  } else {
    apply_long(word);
  }
}

void MergeRules::apply_short(MergeWord& word) const {
  std::array<const Rule*, kShortWord> rules;  // of the pair that begins at each symbol
  std::size_t n = word.ids.size();
  TokenId* const ids = word.ids.data();
  std::uint32_t* const lengths = word.lengths.data();
  for (std::size_t i = 0; i + 1 < n; ++i) rules[i] = &find(ids[i], ids[i + 1]);
  for (;;) {
    std::size_t best = 0;
    std::uint32_t rank = kNone;
    for (std::size_t i = 0; i + 1 < n; ++i)
      if (rules[i]->rank < rank) rank = rules[i]->rank, best = i;
    if (rank == kNone) break;
    ids[best] = rules[best]->result;
    lengths[best] += lengths[best + 1];
    for (std::size_t i = best + 1; i + 1 < n; ++i)
      ids[i] = ids[i + 1], lengths[i] = lengths[i + 1], rules[i] = rules[i + 1];
    --n;
    if (best + 1 < n) rules[best] = &find(ids[best], ids[best + 1]);
    if (best > 0) rules[best - 1] = &find(ids[best - 1], ids[best]);
  }
  word.ids.resize(n), word.lengths.resize(n);
}

void MergeRules::apply_long(MergeWord& word) const {
  static thread_local LongWordScratch scratch;
  auto& [next, before, queue] = scratch;
  auto& ids = word.ids;
  auto& lengths = word.lengths;
  const auto size = static_cast<std::uint32_t>(ids.size());
  next.resize(size), before.resize(size), queue.clear();
  const auto push = [&](std::uint32_t at) {
    const Rule& rule = find(ids[at], ids[next[at]]);
    if (rule.rank == kNone) return;
    queue.push_back({rule.rank, at, rule.result});
    std::push_heap(queue.begin(), queue.end());
  };
  for (std::uint32_t i = 0; i < size; ++i) next[i] = i + 1, before[i] = i == 0 ? size : i - 1;
  for (std::uint32_t i = 0; i + 1 < size; ++i) {
    const Rule& rule = find(ids[i], ids[i + 1]);
    if (rule.rank != kNone) queue.push_back({rule.rank, i, rule.result});
  }
  std::make_heap(queue.begin(), queue.end());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const MergeStep step = queue.back();
    queue.pop_back();
    const std::uint32_t at = step.at;
    if (lengths[at] == 0 || next[at] >= size) continue;
    // An outdated entry counts if what stands there now merges into the same token: the library decides so.
    const std::uint32_t gone = next[at];
    const Rule& rule = find(ids[at], ids[gone]);
    if (rule.rank == kNone || rule.result != step.result) continue;
    ids[at] = step.result;
    lengths[at] += lengths[gone], lengths[gone] = 0;
    next[at] = next[gone];
    if (next[at] < size) before[next[at]] = at;
    if (before[at] < size) push(before[at]);
    if (next[at] < size) push(at);
  }
  std::uint32_t out = 0;
  for (std::uint32_t i = 0; i < size; ++i)
    if (lengths[i] > 0) ids[out] = ids[i], lengths[out] = lengths[i], ++out;
  ids.resize(out), lengths.resize(out);
}

}  // namespace xp::pipeline
