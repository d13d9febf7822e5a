#pragma once
// Which known texts begin at a byte: one hash probe a byte.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

class XP_API ByteTrie {
 public:
  ByteTrie();
  /// `value` >= 0. An empty text is left out; a text that was there gets the new value.
  void insert(std::string_view text, std::int32_t value);

  /// visit(length in bytes, value) for every text that begins at byte `at`, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, std::size_t at, Visit visit) const {
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (values_[node] >= 0) visit(i + 1 - at, values_[node]);
    }
  }

 private:
  struct Edge {
    std::uint64_t key = 0;  // node << 8 | byte, plus one; 0: free
    std::uint32_t node = 0;
  };
  static std::uint64_t key_of(std::uint32_t node, unsigned char byte) {
    return (std::uint64_t{node} << 8 | byte) + 1;
  }
  std::size_t slot(std::uint64_t key) const {
    std::size_t at = (key * 0x9E3779B97F4A7C15ull >> 20) & mask_;
    while (edges_[at].key != 0 && edges_[at].key != key) at = (at + 1) & mask_;
    return at;
  }
  std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    if (node == 0) return first_[byte];
    return edges_[slot(key_of(node, byte))].node;  // 0 in a free slot: the root is nobody's child
  }
  void grow();

  std::vector<Edge> edges_;
  std::uint32_t first_[256] = {};
  std::size_t mask_, used_ = 0;
  std::vector<std::int32_t> values_;
};

}  // namespace xp
