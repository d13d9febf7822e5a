#pragma once
// Tokens by id and by text, for vocabularies of files: ids may have holes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/tokenizer.h"

namespace xp::pipeline {

/// All texts lie in one string; a token is found by one probe of a table of hashes.
class XP_API TokenTable {
 public:
  void reserve(std::size_t tokens, std::size_t bytes);
  /// `place` names the entry of the file. Throws Error (Exit::data) if the id is not in [0, 2^31 - 1), or if the text
  /// or the id is there already.
  void add(std::string_view text, std::int64_t id, const std::string& place);
  /// To be called after the last add(). Throws Error (Exit::data) if the ids leave so many holes that a table of them
  /// would be much larger than the file.
  void close(const std::string& place);

  std::optional<TokenId> find(std::string_view text) const {
    const std::uint32_t entry = slots_[slot(text, hash(text))].entry;
    return entry == kNone ? std::nullopt : std::optional<TokenId>(entries_[entry].id);
  }
  bool has(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < by_id_.size() && by_id_[static_cast<std::size_t>(id)] != kNone;
  }
  std::string_view text(TokenId id) const {  ///< empty for an id without a token
    return has(id) ? text_of(entries_[by_id_[static_cast<std::size_t>(id)]]) : std::string_view();
  }
  std::size_t count() const { return entries_.size(); }
  TokenId end() const { return end_; }  ///< one more than the largest id

  template <class Visit>
  void for_each(Visit visit) const {  ///< visit(text, id), in the order of add()
    for (const auto& entry : entries_) visit(text_of(entry), entry.id);
  }

  TokenTable();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct TokenEntry {
    std::uint64_t begin = 0;
    std::uint32_t size = 0;
    TokenId id = 0;
  };
  struct Slot {
    std::uint32_t entry = kNone, hash = 0;
  };

  static std::uint32_t hash(std::string_view text) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text) >> 16);
  }
  std::string_view text_of(const TokenEntry& entry) const { return {texts_.data() + entry.begin, entry.size}; }
  std::size_t slot(std::string_view text, std::uint32_t hashed) const {
    std::size_t at = hashed & mask_;
    while (slots_[at].entry != kNone && (slots_[at].hash != hashed || text_of(entries_[slots_[at].entry]) != text))
      at = (at + 1) & mask_;
    return at;
  }
  void grow(std::size_t slots);

  std::string texts_;
  std::vector<TokenEntry> entries_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::vector<std::uint32_t> by_id_;
  TokenId end_ = 0;
};

}  // namespace xp::pipeline
