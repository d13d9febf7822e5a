#pragma once
// The first step of fitting a unigram model: which substrings are candidates, and where each of them occurs.
#include <cstdint>
#include <vector>

#include "kit/unigram.h"

namespace xp {

/// Stretches of words that a piece may cover, each once, with their counts. Characters are numbers.
struct UnigramText {
  std::vector<char32_t> alphabet;     ///< by number
  std::vector<std::uint32_t> chars;   ///< all stretches, one behind the other
  std::vector<std::uint32_t> begins;  ///< of each stretch, and the end of the last
  std::vector<std::int64_t> counts;   ///< of each stretch
  std::size_t dropped_chars = 0;
};

/// Cuts words where script, digits or others change and where a character is dropped.
UnigramText stretches_of(const std::vector<WordCount>& words, const UnigramSettings& settings);

/// An occurrence of a piece: `id` fits the `length` characters from here. There are several for each character of the
/// text, which is why they are small.
struct UnigramEdge {
  std::uint32_t id : 24;
  std::uint32_t length : 8;
};
constexpr std::size_t kMostUnigramSeeds = 15'000'000;  ///< beside the alphabet

struct UnigramSeed {
  std::uint32_t at = 0;  ///< a place where it stands in UnigramText::chars
  std::uint32_t length = 0;
  double weight = 0;  ///< count times length
};

/// Candidates, single characters first, the others in the order of their texts; and for each place in the text those
/// that begin there, shortest first.
struct UnigramLattice {
  std::vector<UnigramSeed> seeds;
  std::vector<UnigramEdge> edges;
  std::vector<std::uint64_t> first;  ///< of each place in `edges`, and their number
};
UnigramLattice seeds_of(const UnigramText& text, const UnigramSettings& settings);

}  // namespace xp
