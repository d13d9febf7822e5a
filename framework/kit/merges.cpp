#include "kit/merges.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

namespace xp {

using PairKey = std::uint64_t;

namespace detail {

struct PairHash {
  std::size_t operator()(PairKey key) const {
    return static_cast<std::size_t>((key ^ key >> 29) * 0x9E3779B97F4A7C15ull >> 7);
  }
};

}  // namespace detail

namespace {

using detail::PairHash;

PairKey pair_of(SymbolId left, SymbolId right) { return PairKey{left} << 32 | right; }

struct PairStats {
  std::int64_t count = 0;
  std::vector<std::uint32_t> words;  // where it was seen, in the order of seeing; may name a word twice or in vain
};

struct Candidate {
  std::int64_t count;
  PairKey pair;
  bool operator<(const Candidate& other) const {  // the queue gives the largest first
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Learner {
 public:
  Learner(const SymbolWords& words) : symbols_(words.symbols), begins_(words.begins), counts_(words.counts) {
    for (std::size_t w = 0; w < counts_.size(); ++w) {
      sizes_.push_back(static_cast<std::uint32_t>(begins_[w + 1] - begins_[w]));
      for (std::size_t i = begins_[w]; i + 1 < begins_[w + 1]; ++i) {
        auto& stats = pairs_[pair_of(symbols_[i], symbols_[i + 1])];
        stats.count += counts_[w];
        if (stats.words.empty() || stats.words.back() != w) stats.words.push_back(static_cast<std::uint32_t>(w));
      }
    }
    for (const auto& [pair, stats] : pairs_) queue_.push({stats.count, pair});
  }

  /// The next pair to merge; count 0: none.
  Candidate best(std::int64_t min_count) {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(top.pair);
      if (found == pairs_.end()) continue;
      if (found->second.count != top.count) {  // counts that fell are noticed here; those that rose were queued again
        top.count = found->second.count;
        if (top.count >= min_count) queue_.push(top);
        continue;
      }
      if (top.count < min_count) break;
      return top;
    }
    return {0, 0};
  }

  void drop(PairKey pair) { pairs_.erase(pair); }

  void merge(PairKey pair, SymbolId result) {
    std::vector<std::uint32_t> where = std::move(pairs_[pair].words);
    pairs_.erase(pair);
    std::sort(where.begin(), where.end());
    where.erase(std::unique(where.begin(), where.end()), where.end());
    raised_.clear();
    for (const std::uint32_t w : where) merge_word(w, pair, result);
    std::sort(raised_.begin(), raised_.end());
    raised_.erase(std::unique(raised_.begin(), raised_.end()), raised_.end());
    for (const PairKey one : raised_)
      if (const auto found = pairs_.find(one); found != pairs_.end()) queue_.push({found->second.count, one});
  }

 private:
  // Only pairs that touch a merged place change their counts.
  void merge_word(std::uint32_t w, PairKey pair, SymbolId result) {
    const auto left = static_cast<SymbolId>(pair >> 32), right = static_cast<SymbolId>(pair);
    SymbolId* const word = symbols_.data() + begins_[w];
    const std::uint32_t size = sizes_[w];
    fresh_.assign(size, 0);
    std::uint32_t out = 0;
    bool before_merged = false;
    for (std::uint32_t i = 0; i < size;) {
      const bool here = i + 1 < size && word[i] == left && word[i + 1] == right;
      // The old pair (i - 1, i) goes if either side is merged; its left symbol is kept in last_old.
      if (i > 0 && (here || before_merged)) change(last_old_, word[i], w, -counts_[w]);
      last_old_ = here ? right : word[i];
      fresh_[out] = here;
      word[out++] = here ? result : word[i];
      before_merged = here;
      i += here ? 2 : 1;
    }
    sizes_[w] = out;
    for (std::uint32_t i = 0; i + 1 < out; ++i)
      if (fresh_[i] || fresh_[i + 1]) change(word[i], word[i + 1], w, counts_[w]);
  }

  void change(SymbolId left, SymbolId right, std::uint32_t w, std::int64_t by) {
    const PairKey key = pair_of(left, right);
    if (by < 0) {
      if (const auto found = pairs_.find(key); found != pairs_.end()) found->second.count += by;
      return;  // the merged pair itself is not in the table any more
    }
    auto& stats = pairs_[key];
    stats.count += by;
    if (stats.words.empty() || stats.words.back() != w) stats.words.push_back(w);
    raised_.push_back(key);
  }

  std::vector<SymbolId> symbols_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::int64_t> counts_;
  std::vector<std::uint32_t> sizes_;
  std::unordered_map<PairKey, PairStats, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<PairKey> raised_;
  std::vector<char> fresh_;
  SymbolId last_old_ = 0;
};

}  // namespace

LearnedMerges learn_merges(std::vector<std::string> symbols, const SymbolWords& words, const MergeLimits& limits,
                           const std::function<std::string(const std::string&, const std::string&)>& join) {
  LearnedMerges out{std::move(symbols), {}};
  std::unordered_map<std::string, SymbolId> ids;
  for (std::size_t i = 0; i < out.symbols.size(); ++i) ids.emplace(out.symbols[i], static_cast<SymbolId>(i));
  Learner learner(words);
  const std::int64_t min_count = std::max<std::int64_t>(1, limits.min_count);
  while (out.symbols.size() < limits.symbols) {
    const Candidate next = learner.best(min_count);
    if (next.count == 0) break;
    const auto left = static_cast<SymbolId>(next.pair >> 32), right = static_cast<SymbolId>(next.pair);
    std::string text = join(out.symbols[left], out.symbols[right]);
    if (limits.forbidden.contains(text) || (limits.max_bytes > 0 && text.size() > limits.max_bytes)) {
      learner.drop(next.pair);
      continue;
    }
    const auto [found, is_new] = ids.emplace(text, static_cast<SymbolId>(out.symbols.size()));
    if (is_new) out.symbols.push_back(std::move(text));
    out.merges.push_back({left, right, found->second});
    learner.merge(next.pair, found->second);
  }
  return out;
}

struct MergeTable::Impl {
  struct Rule {
    std::uint32_t rank;
    SymbolId result;
  };
  std::unordered_map<PairKey, Rule, PairHash> rules;
};

MergeTable::MergeTable(const std::vector<Merge>& merges) : impl_(std::make_unique<Impl>()) {
  impl_->rules.reserve(merges.size() * 2);
  for (std::size_t i = 0; i < merges.size(); ++i)
    impl_->rules.emplace(pair_of(merges[i].left, merges[i].right),
                         Impl::Rule{static_cast<std::uint32_t>(i), merges[i].result});
}

MergeTable::~MergeTable() = default;
MergeTable::MergeTable(MergeTable&&) noexcept = default;

void MergeTable::apply(std::vector<SymbolId>& symbols, std::vector<std::uint32_t>& lengths) const {
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
    if (const auto rule = impl_->rules.find(pair); rule != impl_->rules.end())
      queue.push({rule->second.rank, at, pair});
  };
  for (std::uint32_t i = 0; i < size; ++i) next[i] = i + 1, before[i] = i == 0 ? size : i - 1;
  for (std::uint32_t i = 0; i < size; ++i) consider(i);
  while (!queue.empty()) {
    const Step step = queue.top();
    queue.pop();
    const std::uint32_t at = step.at;
    if (lengths[at] == 0 || next[at] >= size || pair_of(symbols[at], symbols[next[at]]) != step.pair) continue;
    const std::uint32_t gone = next[at];
    symbols[at] = impl_->rules.at(step.pair).result;
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
