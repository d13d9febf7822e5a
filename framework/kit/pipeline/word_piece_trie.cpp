#include "kit/pipeline/word_piece_trie.h"

#include <algorithm>

namespace xp::pipeline {

WordPieceTrie::WordPieceTrie(std::vector<Token> tokens) {
  std::sort(tokens.begin(), tokens.end());
  struct Range {
    std::uint32_t node;
    std::size_t begin, end, depth;  // its tokens, and how many bytes led here
  };
  std::vector<Range> open{{kRoot, 0, tokens.size(), 0}};
  std::vector<unsigned char> bytes;
  std::vector<std::size_t> begins;
  std::uint32_t from = kRoot + 1;
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    if (range.begin < range.end && tokens[range.begin].first.size() == range.depth) {
      if (range.node != kRoot) nodes_[range.node].id = tokens[range.begin].second;
      ++range.begin;
    }
    if (range.begin == range.end) continue;
    bytes.clear(), begins.clear();
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const auto byte = static_cast<unsigned char>(tokens[i].first[range.depth]);
      if (bytes.empty() || bytes.back() != byte) bytes.push_back(byte), begins.push_back(i);
    }
    begins.push_back(range.end);
    const std::uint32_t children = nodes_[range.node].children = place_for(bytes, from);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      nodes_[children + bytes[i]].parent = range.node;
      open.push_back({children + bytes[i], begins[i], begins[i + 1], range.depth + 1});
    }
  }
  nodes_.shrink_to_fit();
}

// Where the children for these bytes all find a free place. No place before `from` is free; gaps that many nodes did
// not fit into count as taken, so that a large vocabulary is not searched all over for each node.
std::uint32_t WordPieceTrie::place_for(const std::vector<unsigned char>& bytes, std::uint32_t& from) {
  constexpr std::uint32_t kMostTried = 1024;
  for (std::uint32_t at = from;; ++at) {
    if (nodes_.size() < std::size_t{at} + kBytes) nodes_.resize(nodes_.size() + kBytes);
    const bool free = nodes_[at].parent == kFree;
    if ((at == from && !free) || at - from >= kMostTried) from = at + 1;
    if (!free || at <= bytes.front()) continue;
    const std::uint32_t children = at - bytes.front();
    if (std::all_of(bytes.begin(), bytes.end(), [&](auto byte) { return nodes_[children + byte].parent == kFree; }))
      return children;
  }
}

}  // namespace xp::pipeline
