#include "kit/pipeline/piece_trie.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>

#include "base/random.h"

namespace piece_trie_test {

using xp::pipeline::PieceTrie;
using Found = std::map<std::size_t, std::int32_t>;  // ids by length

Found found_in(const PieceTrie& trie, std::string_view text, std::size_t at) {
  Found out;
  std::size_t before = 0;
  trie.prefixes(text, at, [&](std::size_t length, std::int32_t id) {
    CHECK(length > before);  // shortest first
    before = length;
    out[length] = id;
  });
  return out;
}

PieceTrie trie_of(const std::map<std::string, std::int32_t>& pieces) {
  return PieceTrie({pieces.begin(), pieces.end()});
}

TEST_CASE("a trie finds the pieces that begin at a place, as comparing with each of them does", "[pipeline]") {
  xp::RandomStream random(3);
  const std::string bytes = {'a', 'b', '\0', '\xE3', '\x81'};
  const auto drawn = [&](std::int64_t most) {
    std::string out;
    for (std::int64_t n = 1 + random.below(most); n > 0; --n)
      out += bytes[static_cast<std::size_t>(random.below(std::ssize(bytes)))];
    return out;
  };
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, std::int32_t> pieces;
    for (std::int64_t n = random.below(60); n > 0; --n)
      pieces.emplace(drawn(round % 2 == 0 ? 5 : 12), static_cast<std::int32_t>(pieces.size()));
    const auto trie = trie_of(pieces);
    for (int i = 0; i < 30; ++i) {
      std::string text = drawn(8);
      if (!pieces.empty() && i % 2 == 0) {  // what begins as a piece does and may end within it
        auto piece = pieces.begin();
        std::advance(piece, random.below(std::ssize(pieces)));
        text += piece->first.substr(0, static_cast<std::size_t>(1 + random.below(std::ssize(piece->first))));
      }
      for (std::size_t at = 0; at < text.size(); ++at) {
        Found expected;
        for (const auto& [piece, id] : pieces)
          if (std::string_view(text).substr(at).starts_with(piece)) expected[piece.size()] = id;
        CHECK(found_in(trie, text, at) == expected);
      }
    }
  }
}

TEST_CASE("a trie of one piece, of none and of an empty one", "[pipeline]") {
  CHECK(found_in(PieceTrie(), "a", 0).empty());
  CHECK(found_in(trie_of({{"", 4}}), "a", 0).empty());
  const auto trie = trie_of({{"abc", 7}});
  CHECK(found_in(trie, "xabcd", 1) == Found{{3, 7}});
  CHECK(found_in(trie, "ab", 0).empty());
  CHECK(found_in(trie, "abd", 0).empty());
}

}  // namespace piece_trie_test
