#pragma once
// Which tokens begin at a byte: a double array (Aoe 1989), for walks that touch little memory. Made once, then fixed.
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace xp::pipeline {

class WordPieceTrie {
 public:
  using Token = std::pair<std::string_view, std::int32_t>;

  WordPieceTrie() = default;
  /// Different texts and their ids, which are not negative. An empty text is left out.
  explicit WordPieceTrie(std::vector<Token> tokens);

  /// visit(length in bytes, id) for every token that begins at byte `at`, shortest first.
  template <class Visit>
  void prefixes(std::string_view text, std::size_t at, Visit visit) const {
    std::uint32_t node = kRoot;
    for (std::size_t i = at; i < text.size(); ++i) {
      const std::uint32_t next = nodes_[node].children + static_cast<unsigned char>(text[i]);
      if (nodes_[next].parent != node) return;
      node = next;
      if (nodes_[node].id >= 0) visit(i + 1 - at, nodes_[node].id);
    }
  }

 private:
  static constexpr std::uint32_t kRoot = 0, kFree = UINT32_MAX, kBytes = 256;
  /// The child for a byte is that many places behind `children`, if its parent is this node.
  struct Node {
    std::uint32_t children = 0, parent = kFree;
    std::int32_t id = -1;
  };

  std::uint32_t place_for(const std::vector<unsigned char>& bytes, std::uint32_t& from);

  std::vector<Node> nodes_ = std::vector<Node>(kBytes);  // 256 places behind any `children` are there
};

}  // namespace xp::pipeline
