// Learning merges. Words lie in one list of numbers, each behind its count and its length; of every pair that may
// still be merged the places of the words where it was seen are known.
#include <algorithm>
#include <cstring>
#include <queue>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "kit/merges.h"
#include "kit/pair_table.h"
#include "kit/word_counts.h"

namespace xp {
namespace {

constexpr std::size_t kHead = 4;  ///< numbers before a word's symbols: its count, in two, its length, and what it was

using Place = std::uint32_t;  ///< of a word: where its head begins

/// Words, and lists of places in them, are reached by numbers of 32 bits.
void check_size(std::uint64_t numbers) {
  if (numbers >= UINT32_MAX) throw Error("the corpus has too many distinct words to learn merges from", Exit::data);
}

struct PairStats {
  std::int64_t count = 0;
  std::uint32_t begin = 0, places = 0;  ///< its list of places, and how many they are
};

struct Candidate {
  std::int64_t count;
  PairKey pair;
  bool operator<(const Candidate& other) const {  // the queue gives the largest first
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

/// What a merge changes in the counts of its pair with the symbols on one side: most of them meet it in many words,
/// so that the table of pairs is asked once for each.
class Side {
 public:
  struct Neighbour {
    std::int64_t lost = 0, gained = 0;
    std::uint32_t places = 0;
    Place last = UINT32_MAX;
    std::uint32_t next = 0;  ///< where its list goes on
  };

  void lose(SymbolId symbol, std::int64_t n) { of(symbol).lost += n; }

  void gain(SymbolId symbol, std::int64_t n, Place word) {
    Neighbour& neighbour = of(symbol);
    neighbour.gained += n;
    if (neighbour.last == word) return;
    neighbour.last = word;
    ++neighbour.places;
    seen_.push_back({symbol, word});
  }

  /// visit(symbol, neighbour) for each, in the order of their first occurrence.
  template <class Visit>
  void for_each(Visit visit) {
    for (const SymbolId symbol : symbols_) visit(symbol, neighbours_[symbol]);
  }

  /// Appends the places of each neighbour that occurs `min_count` times to the lists; `next` is behind its own then.
  void write_places(std::int64_t min_count, std::vector<Place>& lists) {
    std::uint64_t end = lists.size();
    for_each([&](SymbolId, Neighbour& one) {
      if (one.gained >= min_count) one.next = static_cast<std::uint32_t>(end), end += one.places;
    });
    check_size(end);
    lists.resize(end);
    for (const auto& [symbol, place] : seen_)
      if (Neighbour& one = neighbours_[symbol]; one.gained >= min_count) lists[one.next++] = place;
  }

  void clear() {
    for_each([](SymbolId, Neighbour& one) { one = {}; });
    symbols_.clear(), seen_.clear();
  }

 private:
  Neighbour& of(SymbolId symbol) {
    if (symbol >= neighbours_.size()) neighbours_.resize(std::max<std::size_t>(symbol + 1, neighbours_.size() * 2));
    Neighbour& out = neighbours_[symbol];
    if (out.lost == 0 && out.gained == 0) symbols_.push_back(symbol);
    return out;
  }

  std::vector<Neighbour> neighbours_;  // by symbol
  std::vector<SymbolId> symbols_;      // whose neighbours are not empty
  std::vector<std::pair<SymbolId, Place>> seen_;
};

class Learner {
 public:
  Learner(SymbolWords words, std::int64_t min_count) : min_count_(min_count) {
    write_words(words);
    words = {};  // not kept beside its copy
    count_pairs();
  }

  /// The next pair to merge; count 0: none.
  Candidate best() {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const PairStats* const stats = pairs_.find(top.pair);
      if (stats == nullptr) continue;
      if (stats->count == top.count) return top;
      top.count = stats->count;  // counts that fell are noticed here; those that rose were queued again
      if (top.count >= min_count_) queue_.push(top);
    }
    return {0, 0};
  }

  void drop(PairKey pair) { pairs_.find(pair)->count = 0; }

  /// `is_new`: no word has the result yet.
  void merge(PairKey pair, SymbolId result, bool is_new) {
    const PairStats stats = std::exchange(*pairs_.find(pair), {});
    for (std::uint32_t i = 0; i < stats.places; ++i) {
      constexpr std::uint32_t kAhead = 8;
      if (i + kAhead < stats.places) __builtin_prefetch(&words_[lists_[stats.begin + i + kAhead]]);
      merge_word(lists_[stats.begin + i], pair, result);
    }
    const auto left = static_cast<SymbolId>(pair >> 32), right = static_cast<SymbolId>(pair);
    before_.for_each([&](SymbolId x, const Side::Neighbour& one) { lose(pair_of(x, left), one.lost); });
    behind_.for_each([&](SymbolId y, const Side::Neighbour& one) { lose(pair_of(right, y), one.lost); });
    if (!is_new) recount(result);
    before_.write_places(min_count_, lists_);
    behind_.write_places(min_count_, lists_);
    before_.for_each([&](SymbolId x, const Side::Neighbour& one) { set(pair_of(x, result), one); });
    behind_.for_each([&](SymbolId y, const Side::Neighbour& one) { set(pair_of(result, y), one); });
    before_.clear(), behind_.clear();
    unused_ += stats.places;
    if (unused_ > lists_.size() / 2) drop_unused_lists();
  }

 private:
  void write_words(const SymbolWords& words) {
    const std::size_t n = words.counts.size(), numbers = words.symbols.size() + kHead * n;
    check_size(numbers);
    words_.reserve(numbers);
    for (std::size_t w = 0; w < n; ++w) {
      const auto begin = words.symbols.begin() + static_cast<std::ptrdiff_t>(words.begins[w]);
      const auto size = static_cast<std::uint32_t>(words.begins[w + 1] - words.begins[w]);
      const auto count = static_cast<std::uint64_t>(words.counts[w]);
      words_.insert(words_.end(),
                    {static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(count >> 32), size, size});
      words_.insert(words_.end(), begin, begin + size);
    }
  }

  std::int64_t count_of(Place word) const {
    return static_cast<std::int64_t>(std::uint64_t{words_[word + 1]} << 32 | words_[word]);
  }

  /// visit(place, symbols, size) for each word.
  template <class Visit>
  void each_word(Visit visit) const {
    for (std::size_t at = 0; at < words_.size(); at += kHead + words_[at + 3])
      visit(static_cast<Place>(at), words_.data() + at + kHead, words_[at + 2]);
  }

  void count_pairs() {
    each_word([&](Place word, const SymbolId* symbols, std::uint32_t size) {
      for (std::uint32_t i = 0; i + 1 < size; ++i) {
        PairStats& stats = pairs_[pair_of(symbols[i], symbols[i + 1])];
        stats.count += count_of(word), ++stats.places;
      }
    });
    std::uint64_t end = 0;
    std::vector<Candidate> all;
    pairs_.for_each([&](PairKey pair, PairStats& stats) {
      if (stats.count < min_count_) return void(stats.places = 0);  // it gets no list
      all.push_back({stats.count, pair});
      stats.begin = static_cast<std::uint32_t>(end), end += std::exchange(stats.places, 0);
    });
    check_size(end);
    lists_.resize(end);
    each_word([&](Place word, const SymbolId* symbols, std::uint32_t size) {
      for (std::uint32_t i = 0; i + 1 < size; ++i) {
        PairStats& stats = *pairs_.find(pair_of(symbols[i], symbols[i + 1]));
        if (stats.count >= min_count_) lists_[stats.begin + stats.places++] = word;
      }
    });
    queue_ = std::priority_queue<Candidate>({}, std::move(all));
  }

  void merge_word(Place at, PairKey pair, SymbolId result) {
    SymbolId* const word = words_.data() + at + kHead;
    const std::uint32_t size = words_[at + 2];
    find_places(word, size, pair);
    if (places_.empty()) return;
    note_changes(at, word, size, result);
    std::uint32_t out = places_[0];
    for (std::size_t n = 0; n < places_.size(); ++n) {
      const std::uint32_t next = n + 1 < places_.size() ? places_[n + 1] : size, from = places_[n] + 2;
      word[out++] = result;
      std::memmove(word + out, word + from, (next - from) * sizeof *word);
      out += next - from;
    }
    words_[at + 2] = out;
  }

  // Where the pair stands, from the left and without overlap.
  void find_places(const SymbolId* word, std::uint32_t size, PairKey pair) {
    const SymbolId wanted[2] = {static_cast<SymbolId>(pair >> 32), static_cast<SymbolId>(pair)};
    places_.clear();
    for (std::uint32_t i = 0; i + 1 < size; ++i)
      if (std::memcmp(word + i, wanted, sizeof wanted) == 0) places_.push_back(i++);
  }

  // Only pairs that touch a merged place change their counts.
  void note_changes(Place at, const SymbolId* word, std::uint32_t size, SymbolId result) {
    const std::int64_t count = count_of(at);
    std::uint32_t behind = 0;  // the place before
    for (std::size_t n = 0; n < places_.size(); ++n) {
      const std::uint32_t i = places_[n];
      if (n > 0 && i == behind) {
        before_.gain(result, count, at);
      } else if (i > 0) {
        before_.lose(word[i - 1], count);
        before_.gain(word[i - 1], count, at);
      }
      behind = i + 2;
      if (behind == size) break;
      behind_.lose(word[behind], count);
      if (n + 1 == places_.size() || places_[n + 1] != behind) behind_.gain(word[behind], count, at);
    }
  }

  // Two merges led to one text: pairs with it that were too rare to be known until now may have become frequent.
  void recount(SymbolId result) {
    before_.clear(), behind_.clear();
    each_word([&](Place at, const SymbolId* word, std::uint32_t size) {
      for (std::uint32_t i = 0; i < size; ++i) {
        if (word[i] != result) continue;
        if (i > 0) before_.gain(word[i - 1], count_of(at), at);
        if (i + 1 < size && word[i + 1] != result) behind_.gain(word[i + 1], count_of(at), at);
      }
    });
  }

  void lose(PairKey pair, std::int64_t n) {
    if (n == 0) return;
    if (PairStats* const stats = pairs_.find(pair)) stats->count -= n;
  }

  void set(PairKey pair, const Side::Neighbour& one) {
    if (one.gained < min_count_) return;
    if (pairs_.is_full())
      pairs_.keep_if([&](const PairStats& stats) {
        const bool stays = stats.count >= min_count_;
        if (!stays) unused_ += stats.places;
        return stays;
      });
    pairs_[pair] = {one.gained, one.next - one.places, one.places};
    queue_.push({one.gained, pair});
  }

  void drop_unused_lists() {
    std::vector<Place> used;
    used.reserve(lists_.size() - unused_);
    pairs_.for_each([&](PairKey, PairStats& stats) {
      const auto begin = lists_.begin() + stats.begin;
      if (stats.count < min_count_)
        stats.places = 0;  // nothing makes it more, but for a merge with a list of its own
      stats.begin = static_cast<std::uint32_t>(used.size());
      used.insert(used.end(), begin, begin + stats.places);
    });
    lists_ = std::move(used), unused_ = 0;
  }

  std::int64_t min_count_;
  std::vector<std::uint32_t> words_;
  PairTable<PairStats> pairs_;  // that occur often enough, and some that did
  std::vector<Place> lists_;    // of pairs one behind the other; may name a word in vain
  std::size_t unused_ = 0;      // of them, as far as is known
  std::priority_queue<Candidate> queue_;
  Side before_, behind_;
  std::vector<std::uint32_t> places_;
};

}  // namespace

LearnedMerges learn_merges(std::vector<std::string> symbols, SymbolWords words, const MergeLimits& limits,
                           const std::function<std::string(const std::string&, const std::string&)>& join) {
  LearnedMerges out{std::move(symbols), {}};
  std::unordered_map<std::string, SymbolId> ids;
  for (std::size_t i = 0; i < out.symbols.size(); ++i) ids.emplace(out.symbols[i], static_cast<SymbolId>(i));
  constexpr std::size_t kTellEvery = 256;
  Learner learner(std::move(words), std::max<std::int64_t>(1, limits.min_count));
  const auto begin = out.symbols.size();
  while (out.symbols.size() < limits.symbols) {
    if (out.merges.size() % kTellEvery == 0)
      show_progress(static_cast<double>(out.symbols.size() - begin), static_cast<double>(limits.symbols - begin),
                    "merging pairs, " + std::to_string(out.symbols.size()) + " symbols");
    const Candidate next = learner.best();
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
    learner.merge(next.pair, found->second, is_new);
  }
  return out;
}

}  // namespace xp
