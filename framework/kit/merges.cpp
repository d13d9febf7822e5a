#include "kit/merges.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <queue>
#include <unordered_map>
#include <utility>

#include "kit/word_counts.h"

namespace xp {

namespace {

using PairKey = std::uint64_t;

constexpr PairKey kNoPair = UINT64_MAX;

PairKey pair_of(SymbolId left, SymbolId right) { return PairKey{left} << 32 | right; }

}  // namespace

namespace detail {

/// A table by pairs with open addressing: merging and cutting spend their time in looking up. Nothing is erased.
template <class Value>
class PairTable {
 public:
  explicit PairTable(std::size_t expected = 0) { resize(std::bit_ceil(std::max<std::size_t>(16, expected * 2))); }

  Value* find(PairKey key) {
    for (std::size_t at = start(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return &slots_[at].value;
      if (slots_[at].key == kNoPair) return nullptr;
    }
  }
  const Value* find(PairKey key) const { return const_cast<PairTable*>(this)->find(key); }

  /// Its value, a new one if it is not there; good until the next call.
  Value& operator[](PairKey key) {
    if (Value* const found = find(key)) return *found;
    if ((size_ + 1) * 2 > slots_.size()) resize(slots_.size() * 2);
    ++size_;
    return place(key, {});
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& slot : slots_)
      if (slot.key != kNoPair) visit(slot.key, slot.value);
  }

 private:
  struct Slot {
    PairKey key = kNoPair;
    Value value;
  };

  std::size_t start(PairKey key) const { return (key ^ key >> 29) * 0x9E3779B97F4A7C15ull >> shift_; }

  Value& place(PairKey key, const Value& value) {
    std::size_t at = start(key);
    while (slots_[at].key != kNoPair) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {key, value};
    return slots_[at].value;
  }

  void resize(std::size_t size) {
    auto old = std::exchange(slots_, std::vector<Slot>(size));
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(size));
    for (const auto& slot : old)
      if (slot.key != kNoPair) place(slot.key, slot.value);
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  unsigned shift_ = 0;
};

}  // namespace detail

namespace {

struct PairStats {
  std::int64_t count = 0;
  std::uint32_t place = UINT32_MAX;  // of its list of words
  std::uint32_t raised = 0;          // the last merge that made it more frequent
  bool gone = false;                 // merged or not wanted, and not seen anew since
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
  explicit Learner(const SymbolWords& words) : symbols_(words.symbols), begins_(words.begins), counts_(words.counts) {
    for (std::size_t w = 0; w < counts_.size(); ++w) {
      sizes_.push_back(static_cast<std::uint32_t>(begins_[w + 1] - begins_[w]));
      for (std::size_t i = begins_[w]; i + 1 < begins_[w + 1]; ++i)
        seen(pairs_[pair_of(symbols_[i], symbols_[i + 1])], static_cast<std::uint32_t>(w));
    }
    std::vector<Candidate> all;
    pairs_.for_each([&](PairKey pair, const PairStats& stats) { all.push_back({stats.count, pair}); });
    queue_ = std::priority_queue<Candidate>({}, std::move(all));
  }

  /// The next pair to merge; count 0: none.
  Candidate best(std::int64_t min_count) {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const PairStats& stats = *pairs_.find(top.pair);
      if (stats.gone) continue;
      if (stats.count != top.count) {  // counts that fell are noticed here; those that rose were queued again
        top.count = stats.count;
        if (top.count >= min_count) queue_.push(top);
        continue;
      }
      if (top.count < min_count) break;
      return top;
    }
    return {0, 0};
  }

  void drop(PairKey pair) { take_words(pair); }

  void merge(PairKey pair, SymbolId result) {
    auto where = take_words(pair);
    if (!std::is_sorted(where.begin(), where.end())) std::sort(where.begin(), where.end());
    where.erase(std::unique(where.begin(), where.end()), where.end());
    ++merge_;
    raised_.clear();
    for (const std::uint32_t w : where) merge_word(w, pair, result);
    for (const PairKey one : raised_)
      if (const PairStats& stats = *pairs_.find(one); !stats.gone) queue_.push({stats.count, one});
  }

 private:
  // Only pairs that touch a merged place change their counts; what lies between two places is moved as it is.
  void merge_word(std::uint32_t w, PairKey pair, SymbolId result) {
    SymbolId* const word = symbols_.data() + begins_[w];
    const std::uint32_t size = sizes_[w];
    find_places(word, size, pair);
    if (places_.empty()) return;
    const auto right = static_cast<SymbolId>(pair);
    std::uint32_t behind = 0;  // the place before
    for (const std::uint32_t i : places_) {
      if (i > behind) lose(word[i - 1], word[i], w);
      behind = i + 2;
      if (behind < size) lose(right, word[behind], w);
    }
    std::uint32_t out = places_[0];
    for (std::size_t n = 0; n < places_.size(); ++n) {
      const std::uint32_t next = n + 1 < places_.size() ? places_[n + 1] : size, from = places_[n] + 2;
      if (out > 0) gain(word[out - 1], result, w);
      word[out++] = result;
      std::memmove(word + out, word + from, (next - from) * sizeof *word);
      if (next > from) gain(result, word[out], w);
      out += next - from;
    }
    sizes_[w] = out;
  }

  // Where the pair stands, from the left and without overlap.
  void find_places(const SymbolId* word, std::uint32_t size, PairKey pair) {
    const auto left = static_cast<SymbolId>(pair >> 32), right = static_cast<SymbolId>(pair);
    places_.clear();
    for (std::uint32_t i = 0; i + 1 < size; ++i)
      if (word[i] == left && word[i + 1] == right) places_.push_back(i++);
  }

  // Forgets a pair; the words where it was seen.
  std::vector<std::uint32_t> take_words(PairKey pair) {
    PairStats& stats = *pairs_.find(pair);
    stats.count = 0, stats.gone = true;
    return std::exchange(words_[stats.place], {});
  }

  void seen(PairStats& stats, std::uint32_t w) {
    if (stats.place == UINT32_MAX) stats.place = static_cast<std::uint32_t>(words_.size()), words_.emplace_back();
    auto& words = words_[stats.place];
    if (words.empty() || words.back() != w) words.push_back(w);
    stats.count += counts_[w], stats.gone = false;
  }

  void lose(SymbolId left, SymbolId right, std::uint32_t w) {
    if (PairStats* const stats = pairs_.find(pair_of(left, right)); stats != nullptr && !stats->gone)
      stats->count -= counts_[w];
  }

  void gain(SymbolId left, SymbolId right, std::uint32_t w) {
    const PairKey key = pair_of(left, right);
    PairStats& stats = pairs_[key];
    seen(stats, w);
    if (stats.raised != merge_) stats.raised = merge_, raised_.push_back(key);
  }

  std::vector<SymbolId> symbols_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::int64_t> counts_;
  std::vector<std::uint32_t> sizes_;
  detail::PairTable<PairStats> pairs_;
  std::vector<std::vector<std::uint32_t>> words_;  // by a pair's place: where it was seen; may name a word in vain
  std::uint32_t merge_ = 0;
  std::priority_queue<Candidate> queue_;
  std::vector<PairKey> raised_;
  std::vector<std::uint32_t> places_;
};

}  // namespace

LearnedMerges learn_merges(std::vector<std::string> symbols, const SymbolWords& words, const MergeLimits& limits,
                           const std::function<std::string(const std::string&, const std::string&)>& join) {
  LearnedMerges out{std::move(symbols), {}};
  std::unordered_map<std::string, SymbolId> ids;
  for (std::size_t i = 0; i < out.symbols.size(); ++i) ids.emplace(out.symbols[i], static_cast<SymbolId>(i));
  constexpr std::size_t kTellEvery = 256;
  Learner learner(words);
  const std::int64_t min_count = std::max<std::int64_t>(1, limits.min_count);
  const auto begin = out.symbols.size();
  while (out.symbols.size() < limits.symbols) {
    if (out.merges.size() % kTellEvery == 0)
      show_progress(static_cast<double>(out.symbols.size() - begin), static_cast<double>(limits.symbols - begin),
                    "merging pairs, " + std::to_string(out.symbols.size()) + " symbols");
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
    std::uint32_t rank = 0;
    SymbolId result = 0;
  };
  explicit Impl(std::size_t merges) : rules(merges) {}
  detail::PairTable<Rule> rules;
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
