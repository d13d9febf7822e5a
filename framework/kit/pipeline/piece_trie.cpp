#include "kit/pipeline/piece_trie.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

constexpr std::uint32_t kTrieBlock = 256;
constexpr std::uint32_t kOpenBlocks = 16;  // the last ones, whose free units are still looked at

/// A piece, with its first bytes as a number that sorts as they do.
struct SortedPiece {
  std::uint64_t head;
  std::string_view text;
  std::int32_t id;
  bool operator<(const SortedPiece& other) const {
    return head != other.head ? head < other.head : text < other.text;
  }
};

std::vector<SortedPiece> sorted_pieces(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
  std::vector<SortedPiece> out;
  out.reserve(pieces.size());
  for (const auto& [text, id] : pieces) {
    if (text.empty()) continue;
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < 8; ++i)
      head = head << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
    out.push_back({head, text, id});
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

/// Places the children of one node after the other into free units, which are a ring in order of their numbers.
class PieceTrieBuilder {
 public:
  explicit PieceTrieBuilder(PieceTrie& trie) : trie_(trie), links_(kTrieBlock), base_taken_(kTrieBlock, true) {}

  void build(const std::vector<SortedPiece>& pieces) {
    std::vector<Node> open;
    if (!pieces.empty()) open.push_back({kRoot, 0, pieces.size(), 0});
    while (!open.empty()) {
      const Node node = open.back();
      open.pop_back();
      children_.clear();
      for (std::size_t i = node.begin; i < node.end; ++i) {
        const auto byte = static_cast<unsigned char>(pieces[i].text[node.depth]);
        if (children_.empty() || children_.back().byte != byte) children_.push_back({byte, i});
      }
      const std::uint32_t base = place();
      if (node.unit == kRoot)
        trie_.root_ = base;
      else
        trie_.units_[node.unit] |= base;
      for (std::size_t i = children_.size(); i-- > 0;) {
        const std::uint32_t unit = base ^ children_[i].byte;
        std::size_t begin = children_[i].begin;
        const std::size_t end = i + 1 < children_.size() ? children_[i + 1].begin : node.end;
        std::uint64_t id = 0;
        if (pieces[begin].text.size() == node.depth + 1) id = static_cast<std::uint64_t>(pieces[begin++].id) + 1;
        trie_.units_[unit] = id << PieceTrie::kIdShift | (PieceTrie::kUsed | children_[i].byte)
                                                             << PieceTrie::kLabelShift;
        if (begin + 1 == end)
          trie_.units_[unit] |= PieceTrie::kTail | tail(pieces[begin], node.depth + 1);
        else if (begin < end)
          open.push_back({unit, begin, end, node.depth + 1});
      }
    }
  }

 private:
  static constexpr std::uint32_t kRoot = UINT32_MAX;
  struct Node {
    std::uint32_t unit;
    std::size_t begin, end, depth;  // its pieces, and how many bytes led here
  };
  struct Child {
    unsigned char byte;
    std::size_t begin;
  };
  struct Link {
    std::uint32_t next = 0, before = 0;  // 0: none, as that unit is never free
  };

  // Where the bytes of a piece from `depth` on are.
  std::uint64_t tail(const SortedPiece& piece, std::size_t depth) {
    const std::size_t at = trie_.tails_.size();
    const PieceTrie::TailHead head{piece.id, static_cast<std::uint32_t>(piece.text.size() - depth)};
    if (at > PieceTrie::kBase || piece.text.size() > UINT32_MAX) refuse();
    trie_.tails_.append(reinterpret_cast<const char*>(&head), sizeof head).append(piece.text.substr(depth));
    return at;
  }
  [[noreturn]] static void refuse() {
    throw Error("a vocabulary whose pieces have more than " + count(PieceTrie::kBase, "byte"), Exit::data);
  }

  // A base at which all children find a free unit; takes it and them.
  std::uint32_t place() {
    for (std::uint32_t at = first_; at != 0; at = links_[at].next) {
      const std::uint32_t base = at ^ children_.front().byte;
      if (fits(base)) return take(base);
    }
    const auto base = static_cast<std::uint32_t>(trie_.units_.size());
    add_block();
    return take(base);
  }
  bool fits(std::uint32_t base) const {
    return !base_taken_[base] && std::all_of(children_.begin(), children_.end(),
                                             [&](const Child& child) { return is_free(base ^ child.byte); });
  }
  bool is_free(std::uint32_t unit) const { return unit == first_ || links_[unit].before != 0; }
  std::uint32_t take(std::uint32_t base) {
    base_taken_[base] = true;
    for (const auto& child : children_) drop(base ^ child.byte);
    return base;
  }
  void drop(std::uint32_t unit) {
    const Link link = std::exchange(links_[unit], {});
    (link.before == 0 ? first_ : links_[link.before].next) = link.next;
    (link.next == 0 ? last_ : links_[link.next].before) = link.before;
  }
  void add_block() {
    const auto begin = static_cast<std::uint32_t>(trie_.units_.size());
    if (begin + kTrieBlock > PieceTrie::kBase) refuse();
    const std::uint32_t end = begin + kTrieBlock;
    trie_.units_.resize(end), links_.resize(end), base_taken_.resize(end);
    for (std::uint32_t unit = begin; unit < end; ++unit) {
      links_[unit] = {0, last_};
      (last_ == 0 ? first_ : links_[last_].next) = unit;
      last_ = unit;
    }
    if (begin < kOpenBlocks * kTrieBlock) return;
    while (first_ < begin - (kOpenBlocks - 1) * kTrieBlock) drop(first_);
  }

  PieceTrie& trie_;
  std::vector<Link> links_;
  std::vector<bool> base_taken_;
  std::vector<Child> children_;
  std::uint32_t first_ = 0, last_ = 0;
};

PieceTrie::PieceTrie(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
  if (pieces.size() >= kMostIds) throw Error("a vocabulary of more than " + count(kMostIds - 1, "piece"), Exit::data);
  PieceTrieBuilder(*this).build(sorted_pieces(pieces));
}

}  // namespace xp::pipeline
