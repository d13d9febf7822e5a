#include "kit/merges.h"

#include <algorithm>
#include <array>
#include <queue>
#include <utility>

#include "kit/pair_table.h"

namespace xp {

struct MergeTable::Impl {
  struct Rule {
    std::uint32_t rank = 0;
    SymbolId result = 0;
  };
  explicit Impl(std::size_t merges) : rules(merges) {}
  PairTable<Rule> rules;
  void apply_scanning(std::vector<SymbolId>& symbols, std::vector<std::uint32_t>& lengths) const;
};

MergeTable::MergeTable(const std::vector<Merge>& merges) : impl_(std::make_unique<Impl>(merges.size())) {
  for (std::size_t i = merges.size(); i-- > 0;)  // of a pair that stands twice, the first counts
    impl_->rules[pair_of(merges[i].left, merges[i].right)] = {static_cast<std::uint32_t>(i), merges[i].result};
}

MergeTable::~MergeTable() = default;
MergeTable::MergeTable(MergeTable&&) noexcept = default;

namespace {
constexpr std::size_t kScanned = 32;  // looking at every pair again beats a queue in words of so many symbols
}

// Of the rules that fit, the first that was learned, from left to right: as the queue below does.
void MergeTable::Impl::apply_scanning(std::vector<SymbolId>& symbols, std::vector<std::uint32_t>& lengths) const {
  constexpr Rule kNone{UINT32_MAX, 0};
  std::array<Rule, kScanned> at;  // the rule of the pair that begins here
  const auto rule_of = [&](std::size_t i) {
    const Rule* const found = rules.find(pair_of(symbols[i], symbols[i + 1]));
    return found == nullptr ? kNone : *found;
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) at[i] = rule_of(i);
  for (std::size_t size = symbols.size(); size > 1; --size) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < size; ++i)
      if (at[i].rank < at[best].rank) best = i;
    if (at[best].rank == kNone.rank) break;
    symbols[best] = at[best].result, lengths[best] += lengths[best + 1];
    const auto behind = static_cast<std::ptrdiff_t>(best + 1);
    symbols.erase(symbols.begin() + behind), lengths.erase(lengths.begin() + behind);
    for (std::size_t i = best + 1; i + 2 < size; ++i) at[i] = at[i + 1];
    if (best + 1 < symbols.size()) at[best] = rule_of(best);
    if (best > 0) at[best - 1] = rule_of(best - 1);
  }
}

void MergeTable::apply(std::vector<SymbolId>& symbols, std::vector<std::uint32_t>& lengths) const {
  if (symbols.size() <= kScanned) return impl_->apply_scanning(symbols, lengths);
  struct Step {
    std::uint32_t rank, at;
    PairKey pair;
    bool operator<(const Step& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  const auto size = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> next(size), before(size);
  std::priority_queue<Step> queue;
  const auto consider = [&](std::uint32_t at) {
    if (next[at] >= size) return;
    const PairKey pair = pair_of(symbols[at], symbols[next[at]]);
    if (const auto* rule = impl_->rules.find(pair)) queue.push({rule->rank, at, pair});
  };
  for (std::uint32_t i = 0; i < size; ++i) next[i] = i + 1, before[i] = i == 0 ? size : i - 1;
  for (std::uint32_t i = 0; i < size; ++i) consider(i);
  while (!queue.empty()) {
    const Step step = queue.top();
    queue.pop();
    const std::uint32_t at = step.at;
    if (lengths[at] == 0 || next[at] >= size || pair_of(symbols[at], symbols[next[at]]) != step.pair) continue;
    const std::uint32_t gone = next[at];
    symbols[at] = impl_->rules.find(step.pair)->result;
    lengths[at] += lengths[gone], lengths[gone] = 0;
    next[at] = next[gone];
    if (next[at] < size) before[next[at]] = at;
    consider(at);
    if (before[at] < size) consider(before[at]);
  }
  std::uint32_t out = 0;
  for (std::uint32_t i = 0; i < size; ++i)
    if (lengths[i] > 0) symbols[out] = symbols[i], lengths[out] = lengths[i], ++out;
  symbols.resize(out), lengths.resize(out);
}

}  // namespace xp
