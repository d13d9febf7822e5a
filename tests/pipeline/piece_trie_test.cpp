#include "kit/pipeline/piece_trie.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "kit/unicode.h"

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

Found expected_in(const std::map<std::string, std::int32_t>& pieces, std::string_view text, std::size_t at) {
  Found out;
  for (const auto& [piece, id] : pieces)
    if (text.substr(at).starts_with(piece)) out[piece.size()] = id;
  return out;
}

// By labels, which must begin at that byte; lengths in bytes.
Found found_by_labels(const PieceTrie& trie, std::string_view text, std::size_t at) {
  PieceTrie::Labels labels;
  trie.read(text, labels);
  const auto begin = std::find(labels.begins.begin(), labels.begins.end(), at);
  Found out;
  trie.prefixes(labels, static_cast<std::size_t>(begin - labels.begins.begin()),
                [&](std::size_t n, std::int32_t id) { out[*(begin + static_cast<std::ptrdiff_t>(n)) - at] = id; });
  return out;
}

void check(const PieceTrie& trie, const std::map<std::string, std::int32_t>& pieces, std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const Found expected = expected_in(pieces, text, at);
    CHECK(found_in(trie, text, at) == expected);
    const auto longest = trie.longest(text, at);
    CHECK(longest.id == (expected.empty() ? -1 : expected.rbegin()->second));
    if (!expected.empty()) CHECK(longest.length == expected.rbegin()->first);
  }
}

std::string drawn(xp::RandomStream& random, const std::vector<std::string>& parts, std::int64_t most) {
  std::string out;
  for (std::int64_t n = 1 + random.below(most); n > 0; --n)
    out += parts[static_cast<std::size_t>(random.below(std::ssize(parts)))];
  return out;
}

// What begins as a piece does and may end within it.
std::string like_a_piece(xp::RandomStream& random, const std::map<std::string, std::int32_t>& pieces) {
  if (pieces.empty()) return {};
  auto piece = pieces.begin();
  std::advance(piece, random.below(std::ssize(pieces)));
  return piece->first.substr(0, static_cast<std::size_t>(1 + random.below(std::ssize(piece->first))));
}

TEST_CASE("a trie finds the pieces that begin at a place, as comparing with each of them does", "[pipeline]") {
  xp::RandomStream random(3);
  // Characters of all lengths, what they begin with, bytes of none, and two forms that are too long.
  const std::vector<std::string> parts{
      "a",    "b",    std::string(1, '\0'), "\u00E9",   "\u3042", "\u3044",   "\U0001F600",
      "\xE3", "\x81", "\xE3\x81",           "\xF0\x9F", "\xFF",   "\xC1\x81", "\xE0\x81\x82"};
  for (int round = 0; round < 300; ++round) {
    std::map<std::string, std::int32_t> pieces;
    for (std::int64_t n = random.below(60); n > 0; --n)
      pieces.emplace(drawn(random, parts, round % 2 == 0 ? 4 : 9), static_cast<std::int32_t>(pieces.size()));
    const auto trie = trie_of(pieces);
    for (int i = 0; i < 30; ++i)
      check(trie, pieces, drawn(random, parts, 8) + (i % 2 == 0 ? like_a_piece(random, pieces) : ""));
  }
}

TEST_CASE("a trie of characters finds the same by labels", "[pipeline]") {
  xp::RandomStream random(4);
  const std::vector<std::string> parts{"a", "b", " ", "\u00E9", "\u3042", "\u3044", "\u3046", "\u6F22", "\U0001F600"};
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, std::int32_t> pieces;
    for (std::int64_t n = random.below(60); n > 0; --n)
      pieces.emplace(drawn(random, parts, round % 2 == 0 ? 4 : 9), static_cast<std::int32_t>(pieces.size()));
    const auto trie = trie_of(pieces);
    for (int i = 0; i < 30; ++i) {
      const std::string text = drawn(random, parts, 12);
      for (std::size_t at = 0; at < text.size(); ++at)
        if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80)
          CHECK(found_by_labels(trie, text, at) == expected_in(pieces, text, at));
    }
  }
}

TEST_CASE("a trie of more characters than it has labels spells some of them", "[pipeline]") {
  std::map<std::string, std::int32_t> pieces;
  for (char32_t c = 0x3400; c < 0x3400 + 70000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string text = xp::char_text(c);
    pieces.emplace(text, static_cast<std::int32_t>(pieces.size()));
    if (c % 7 == 0) pieces.emplace(text + "a" + text, static_cast<std::int32_t>(pieces.size()));
  }
  const auto trie = trie_of(pieces);
  for (const char32_t c : {U'\x3400', U'\x4E07', U'\xF900', U'\x13E71', U'\x1456F', U'\x1456E'}) {
    const std::string one = xp::char_text(c), text = one + "a" + one + one;
    for (const std::size_t at : {std::size_t{0}, one.size() + 1}) {
      Found expected;
      for (const auto& piece : {one, one + "a" + one})
        if (pieces.contains(piece) && text.substr(at).starts_with(piece)) expected[piece.size()] = pieces.at(piece);
      CHECK(found_in(trie, text, at) == expected);
      CHECK(found_by_labels(trie, text, at) == expected);
      CHECK(trie.longest(text, at).id == (expected.empty() ? -1 : expected.rbegin()->second));
    }
  }
}

TEST_CASE("a trie has no room for ids that large", "[pipeline]") {
  CHECK(found_in(trie_of({{"a", (1 << 21) - 2}}), "a", 0) == Found{{1, (1 << 21) - 2}});
  CHECK_THROWS_AS(trie_of({{"a", (1 << 21) - 1}}), xp::Error);
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
