#include "kit/byte_trie.h"

#include <utility>

namespace xp {

ByteTrie::ByteTrie() : edges_(256), mask_(255), values_{-1} {}

void ByteTrie::insert(std::string_view text, std::int32_t value) {
  if (text.empty()) return;
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(values_.size());
      values_.push_back(-1);
      if (node == 0) {
        first_[byte] = next;
      } else {
        if (++used_ * 2 > edges_.size()) grow();
        const std::uint64_t key = key_of(node, byte);
        edges_[slot(key)] = {key, next};
      }
    }
    node = next;
  }
  values_[node] = value;
}

void ByteTrie::grow() {
  const std::vector<Edge> old = std::exchange(edges_, std::vector<Edge>(edges_.size() * 2));
  mask_ = edges_.size() - 1;
  for (const auto& edge : old)
    if (edge.key != 0) edges_[slot(edge.key)] = edge;
}

}  // namespace xp
