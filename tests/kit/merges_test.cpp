#include "kit/merges.h"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <map>

#include "base/random.h"

using namespace xp;

namespace {

std::string glue(const std::string& a, const std::string& b) { return a + b; }

SymbolWords words_of(const std::vector<std::string>& words, const std::vector<std::int64_t>& counts) {
  SymbolWords out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const char c : words[i]) out.symbols.push_back(static_cast<SymbolId>(c - 'a'));
    out.end_word(counts[i]);
  }
  return out;
}

std::vector<std::string> letters(int n) {
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.push_back(std::string(1, static_cast<char>('a' + i)));
  return out;
}

/// The same by counting everything anew after each merge.
LearnedMerges slow_merges(std::vector<std::string> symbols, const SymbolWords& words, std::size_t limit,
                          std::int64_t least) {
  std::vector<std::vector<SymbolId>> all;
  for (std::size_t w = 0; w + 1 < words.begins.size(); ++w)
    all.emplace_back(words.symbols.begin() + static_cast<std::ptrdiff_t>(words.begins[w]),
                     words.symbols.begin() + static_cast<std::ptrdiff_t>(words.begins[w + 1]));
  LearnedMerges out{std::move(symbols), {}};
  while (out.symbols.size() < limit) {
    std::map<std::pair<SymbolId, SymbolId>, std::int64_t> counts;
    for (std::size_t w = 0; w < all.size(); ++w)
      for (std::size_t i = 0; i + 1 < all[w].size(); ++i) counts[{all[w][i], all[w][i + 1]}] += words.counts[w];
    std::pair<SymbolId, SymbolId> best;
    std::int64_t most = 0;
    for (const auto& [pair, n] : counts)
      if (n > most) best = pair, most = n;
    if (most < least) break;
    const std::string text = out.symbols[best.first] + out.symbols[best.second];
    auto place = std::find(out.symbols.begin(), out.symbols.end(), text);
    if (place == out.symbols.end()) place = out.symbols.insert(out.symbols.end(), text);
    const auto id = static_cast<SymbolId>(place - out.symbols.begin());
    out.merges.push_back({best.first, best.second, id});
    for (auto& word : all) {
      std::vector<SymbolId> next;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool here = i + 1 < word.size() && word[i] == best.first && word[i + 1] == best.second;
        next.push_back(here ? id : word[i]);
        i += here;
      }
      word = next;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("merges of a hand example") {
  // aaabdaaabac, the example everybody knows: aa (4 of them) -> then ab (2) against (aa, a) (2): the smaller pair.
  const auto learned = learn_merges(letters(4), words_of({"aaabdaaabac"}, {1}), {7, 2}, glue);
  REQUIRE(learned.merges.size() == 3);
  CHECK(learned.symbols[4] == "aa");
  CHECK(learned.symbols[5] == "ab");
  CHECK(learned.symbols[6] == "aaab");
}

TEST_CASE("merges equal counting everything anew") {
  RandomStream random(11);
  for (int round = 0; round < 60; ++round) {
    // Where merges lead to texts that are there already, pairs that were too rare become frequent.
    auto symbols = letters(3);
    if (round % 2 == 1) symbols.insert(symbols.end(), {"ab", "bc", "abc"});
    std::vector<std::string> words;
    std::vector<std::int64_t> counts;
    for (int w = 0; w < 30; ++w) {
      std::string word;
      // short words are merged by scanning, long ones by a queue
      for (std::int64_t n = 1 + random.below(round % 4 == 0 ? 80 : 12); n > 0; --n)
        word += static_cast<char>('a' + random.below(std::ssize(symbols)));
      words.push_back(word), counts.push_back(1 + random.below(4));
    }
    const auto input = words_of(words, counts);
    const std::int64_t least = std::array{1, 2, 9}[static_cast<std::size_t>(round % 3)];
    const auto fast = learn_merges(symbols, input, {40, least}, glue), slow = slow_merges(symbols, input, 40, least);
    CHECK(fast.symbols == slow.symbols);
    CHECK((fast.merges == slow.merges));

    // Applying them to the words they were learned from gives what learning ended with, where each text has one way
    // to come about: replay each merge in order.
    if (symbols.size() > 3) continue;
    const MergeTable table(fast.merges);
    for (const auto& word : words) {
      std::vector<SymbolId> cut, replay;
      for (const char c : word) cut.push_back(static_cast<SymbolId>(c - 'a'));
      replay = cut;
      std::vector<std::uint32_t> lengths(cut.size(), 1);
      table.apply(cut, lengths);
      for (const auto& merge : fast.merges) {
        std::vector<SymbolId> next;
        for (std::size_t i = 0; i < replay.size(); ++i) {
          const bool here = i + 1 < replay.size() && replay[i] == merge.left && replay[i + 1] == merge.right;
          next.push_back(here ? merge.result : replay[i]);
          i += here;
        }
        replay = next;
      }
      CHECK(cut == replay);
      for (std::size_t i = 0; i < cut.size(); ++i) CHECK(fast.symbols[cut[i]].size() == lengths[i]);
    }
  }
}

TEST_CASE("merges among many pairs that are too rare") {
  RandomStream random(12);
  for (int rare = 10; rare < 300; rare += 10) {
    std::vector<std::string> words{"abcdefghijklm", "nopqrstuvwxyz", "azbycxdw"};
    std::vector<std::int64_t> counts{20, 30, 40};
    for (int w = 0; w < rare; ++w) {
      words.emplace_back();
      for (int n = 0; n < 6; ++n) words.back() += static_cast<char>('a' + random.below(26));
      counts.push_back(1);
    }
    const auto input = words_of(words, counts);
    CHECK(learn_merges(letters(26), input, {70, 15}, glue).symbols ==
          slow_merges(letters(26), input, 70, 15).symbols);
  }
}

TEST_CASE("merges respect count, length and forbidden texts") {
  const auto input = words_of({"abab", "cd"}, {5, 3});
  CHECK(learn_merges(letters(4), input, {100, 4}, glue).symbols.back() == "abab");
  MergeLimits limits{100, 1};
  limits.forbidden = {"ab"};
  for (const auto& symbol : learn_merges(letters(4), input, limits, glue).symbols) CHECK(symbol != "ab");
  limits = {100, 1};
  limits.max_bytes = 2;
  CHECK(learn_merges(letters(4), input, limits, glue).symbols ==
        std::vector<std::string>{"a", "b", "c", "d", "ab", "cd"});
}

TEST_CASE("merging a long word takes n log n") {
  const MergeTable table({{0, 0, 1}, {1, 1, 2}});
  std::vector<SymbolId> symbols(1 << 20, 0);
  std::vector<std::uint32_t> lengths(symbols.size(), 1);
  table.apply(symbols, lengths);
  CHECK(symbols == std::vector<SymbolId>(1 << 18, 2));
}
