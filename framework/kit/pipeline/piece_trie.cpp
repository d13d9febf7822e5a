#include "kit/pipeline/piece_trie.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

/// A piece, with its first labels as a number that sorts as they do.
struct LabelledPiece {
  std::uint64_t head = 0;
  std::u16string_view labels;
  std::string_view text;
  std::int32_t id = 0;
  bool operator<(const LabelledPiece& other) const {
    return head != other.head ? head < other.head : labels < other.labels;
  }
};

}  // namespace

/// Places the children of one node after the other into free units. Those that may begin a node's children are a ring
/// in order of their numbers.
class PieceTrieBuilder {
 public:
  explicit PieceTrieBuilder(PieceTrie& trie) : trie_(trie) {}

  void build(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
    label_characters(pieces);
    const auto sorted = labelled(pieces);
    trie_.units_.clear();
    add_block();
    unit_taken_[0] = base_taken_[0] = true, tries_[0] = kMostTries;
    std::vector<Node> open;
    if (!sorted.empty()) open.push_back({kRoot, 0, sorted.size(), 0, 0});
    while (!open.empty()) {
      const Node node = open.back();
      open.pop_back();
      put_children(node, sorted, open);
    }
  }

 private:
  static constexpr std::uint32_t kRoot = UINT32_MAX;
  // Characters beyond them are bytes: nodes with many children of many labels would find no place side by side.
  static constexpr std::size_t kMostChars = 4096 - PieceTrie::kFirstChar;
  static constexpr std::uint8_t kMostTries = 16;  // how often a unit is tried as the first child of a node
  struct Node {
    std::uint32_t unit;
    std::size_t begin, end, depth, bytes;  // its pieces, and how many labels and bytes led here
  };
  struct Child {
    std::uint16_t label;
    std::size_t begin;
  };
  struct Link {
    std::uint32_t next = 0, before = 0;  // 0: none, as that unit is never free
  };

  // The more often pieces have a character the lower its label, so that children lie close together.
  void label_characters(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
    std::vector<std::uint32_t> uses;
    for (const auto& [text, id] : pieces)
      for (std::size_t at = 0; at < text.size();) {
        const auto [code, length] =
            static_cast<unsigned char>(text[at]) < 0x80 ? PieceTrie::Character{0, 1} : PieceTrie::character(text, at);
        if (length > 1 && code >= uses.size()) uses.resize(code + 1);
        if (length > 1) ++uses[code];
        at += length;
      }
    std::vector<std::uint32_t> codes(uses.size());
    std::iota(codes.begin(), codes.end(), 0u);
    std::erase_if(codes, [&](std::uint32_t code) { return uses[code] == 0; });
    std::stable_sort(codes.begin(), codes.end(), [&](std::uint32_t a, std::uint32_t b) { return uses[a] > uses[b]; });
    trie_.spells_ = codes.size() > kMostChars;
    codes.resize(std::min(codes.size(), kMostChars));
    trie_.chars_.assign(uses.size(), PieceTrie::kNoLabel);
    for (std::size_t i = 0; i < codes.size(); ++i)
      trie_.chars_[codes[i]] = static_cast<std::uint16_t>(PieceTrie::kFirstChar + i);
    block_ = std::bit_ceil(static_cast<std::uint32_t>(PieceTrie::kFirstChar + codes.size()));
  }

  std::vector<LabelledPiece> labelled(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
    std::size_t bytes = 0;
    for (const auto& [text, id] : pieces) bytes += text.size();
    labels_.reserve(bytes);  // so that views into it stay
    PieceTrie::Labels read;
    std::vector<LabelledPiece> out;
    out.reserve(pieces.size());
    for (const auto& [text, id] : pieces) {
      if (text.empty()) continue;
      const std::size_t begin = labels_.size();
      trie_.read(text, read);
      labels_.append(read.labels.begin(), read.labels.begin() + static_cast<std::ptrdiff_t>(read.size));
      out.push_back({0, std::u16string_view(labels_).substr(begin), text, id});
      for (std::size_t i = 0; i < 4; ++i)
        out.back().head = out.back().head << 16 | (i < out.back().labels.size() ? out.back().labels[i] : 0u);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  void put_children(const Node& node, const std::vector<LabelledPiece>& pieces, std::vector<Node>& open) {
    children_.clear();
    for (std::size_t i = node.begin; i < node.end; ++i)
      if (const auto label = pieces[i].labels[node.depth]; children_.empty() || children_.back().label != label)
        children_.push_back({label, i});
    std::uint64_t base = place();
    const bool by_bytes = std::any_of(children_.begin(), children_.end(), [](const Child& child) {
      return child.label >= PieceTrie::kFirstByte + 0x80 && child.label < PieceTrie::kFirstChar;
    });
    (node.unit == kRoot ? trie_.root_ : trie_.units_[node.unit]) |=
        base | PieceTrie::kMore | (by_bytes ? PieceTrie::kBytes : 0);
    for (std::size_t i = children_.size(); i-- > 0;) {
      const auto [label, first] = children_[i];
      const auto unit = static_cast<std::uint32_t>(base ^ label);
      const std::size_t end = i + 1 < children_.size() ? children_[i + 1].begin : node.end;
      const auto& piece = pieces[first];
      const std::size_t bytes =
          node.bytes + (label < PieceTrie::kFirstChar ? 1 : trie_.step(piece.text, node.bytes).length);
      std::size_t begin = first;
      std::uint64_t id = 0;
      if (piece.labels.size() == node.depth + 1) id = static_cast<std::uint64_t>(pieces[begin++].id) + 1;
      trie_.units_[unit] = id << PieceTrie::kIdShift | std::uint64_t{label} << PieceTrie::kLabelShift;
      if (begin + 1 == end && is_tail(pieces[begin], node.depth + 1))
        trie_.units_[unit] |= PieceTrie::kTail | tail(pieces[begin], node.depth + 1, bytes);
      else if (begin < end)
        open.push_back({unit, begin, end, node.depth + 1, bytes});
    }
  }

  // A single label is as quickly followed as it would be compared.
  static bool is_tail(const LabelledPiece& piece, std::size_t depth) {
    return piece.labels.size() > depth + 1 && piece.text.size() <= UINT16_MAX;
  }
  // Where the bytes of a piece from `from` on are, in steps.
  std::uint64_t tail(const LabelledPiece& piece, std::size_t depth, std::size_t from) {
    trie_.tails_.resize((trie_.tails_.size() + PieceTrie::kTailStep - 1) / PieceTrie::kTailStep *
                        PieceTrie::kTailStep);
    const std::size_t at = trie_.tails_.size() / PieceTrie::kTailStep;
    const PieceTrie::TailHead head{piece.id, static_cast<std::uint16_t>(piece.text.size() - from),
                                   static_cast<std::uint16_t>(piece.labels.size() - depth)};
    if (at > PieceTrie::kBase) refuse();
    trie_.tails_.append(reinterpret_cast<const char*>(&head), sizeof head).append(piece.text.substr(from));
    return at;
  }
  [[noreturn]] static void refuse() {
    throw Error("a vocabulary whose pieces need a trie of more than " + count(PieceTrie::kBase, "unit"), Exit::data);
  }

  // A base at which all children find a free unit; takes it and them.
  std::uint32_t place() {
    for (std::uint32_t at = first_; at != 0;) {
      const std::uint32_t base = at ^ children_.front().label;
      if (fits(base)) return take(base);
      const auto next = links_[at].next;
      if (++tries_[at] == kMostTries) drop(at);
      at = next;
    }
    const auto begin = static_cast<std::uint32_t>(trie_.units_.size());
    add_block();
    return take(begin);
  }
  bool fits(std::uint32_t base) const {
    return !base_taken_[base] && std::none_of(children_.begin(), children_.end(),
                                              [&](const Child& child) { return unit_taken_[base ^ child.label]; });
  }
  std::uint32_t take(std::uint32_t base) {
    base_taken_[base] = true;
    for (const auto& child : children_) take_unit(base ^ child.label);
    return base;
  }
  void take_unit(std::uint32_t unit) {
    unit_taken_[unit] = true;
    if (tries_[unit] < kMostTries) drop(unit);
  }
  void drop(std::uint32_t unit) {
    tries_[unit] = kMostTries;
    const Link link = std::exchange(links_[unit], {});
    (link.before == 0 ? first_ : links_[link.before].next) = link.next;
    (link.next == 0 ? last_ : links_[link.next].before) = link.before;
  }
  void add_block() {
    const std::size_t begin = trie_.units_.size(), end = begin + block_;
    if (end > PieceTrie::kBase) refuse();
    trie_.units_.resize(end), links_.resize(end), tries_.resize(end), unit_taken_.resize(end),
        base_taken_.resize(end);
    for (auto unit = static_cast<std::uint32_t>(begin); unit < end; ++unit) {
      links_[unit] = {0, last_};
      (last_ == 0 ? first_ : links_[last_].next) = unit;
      last_ = unit;
    }
  }

  PieceTrie& trie_;
  std::uint32_t block_ = 0;  ///< units whose numbers a label can change, a power of two
  std::u16string labels_;
  std::vector<Link> links_;
  std::vector<std::uint8_t> tries_;
  std::vector<bool> unit_taken_, base_taken_;
  std::vector<Child> children_;
  std::uint32_t first_ = 0, last_ = 0;
};

void PieceTrie::read(std::string_view text, Labels& out) const {
  if (out.labels.size() < text.size()) out.labels.resize(text.size()), out.begins.resize(text.size() + 1);
  std::size_t n = 0;
  const auto put = [&](std::uint16_t label, std::size_t begin) {
    out.labels[n] = label, out.begins[n] = static_cast<std::uint32_t>(begin), ++n;
  };
  for (std::size_t at = 0; at < text.size();) {
    const Step next = step(text, at);
    if (next.label != kNoLabel || !spells_)
      put(next.label, at);
    else
      for (std::size_t i = at; i < at + next.length; ++i)
        put(static_cast<std::uint16_t>(kFirstByte + static_cast<unsigned char>(text[i])), i);
    at += next.length;
  }
  out.begins[n] = static_cast<std::uint32_t>(text.size());
  out.text = text, out.size = n;
}

PieceTrie::PieceTrie(const std::vector<std::pair<std::string_view, std::int32_t>>& pieces) {
  for (const auto& [text, id] : pieces)
    if (id < 0 || static_cast<std::uint64_t>(id) >= kMostIds)
      throw Error(
          "a piece has the id " + std::to_string(id) + "; those below " + std::to_string(kMostIds) + " are taken",
          Exit::data);
  PieceTrieBuilder(*this).build(pieces);
}

}  // namespace xp::pipeline
