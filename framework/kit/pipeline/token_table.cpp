#include "kit/pipeline/token_table.h"

#include <bit>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

constexpr std::int64_t kIdLimit = INT32_MAX;
constexpr std::size_t kFreeHoles = std::size_t{1} << 20;  // ids without a token that any vocabulary may have

std::string token_shown(std::string_view text) {
  constexpr std::size_t kMost = 80;
  return backquoted(printable(text.substr(0, kMost)) + (text.size() > kMost ? " ..." : ""));
}

}  // namespace

TokenTable::TokenTable() { grow(64); }

void TokenTable::grow(std::size_t slots) {
  slots_.assign(slots, {});
  mask_ = slots - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto text = text_of(entries_[i]);
    const std::uint32_t hashed = hash(text);
    slots_[slot(text, hashed)] = {static_cast<std::uint32_t>(i), hashed};
  }
}

void TokenTable::reserve(std::size_t tokens, std::size_t bytes) {
  entries_.reserve(tokens);
  texts_.reserve(bytes);
  if (const auto wanted = std::bit_ceil(tokens * 2 + 1); wanted > slots_.size()) grow(wanted);
}

void TokenTable::add(std::string_view text, std::int64_t id, const std::string& place) {
  if (id < 0 || id >= kIdLimit)
    throw Error(place + ": token " + token_shown(text) + " has id " + std::to_string(id) +
                    "; ids are whole numbers from 0 to " + std::to_string(kIdLimit - 1),
                Exit::data);
  if (entries_.size() * 2 >= slots_.size()) grow(slots_.size() * 2);
  const std::uint32_t hashed = hash(text);
  Slot& free = slots_[slot(text, hashed)];
  if (free.entry != kNone)
    throw Error(place + ": token " + token_shown(text) + " is there twice, with ids " +
                    std::to_string(entries_[free.entry].id) + " and " + std::to_string(id),
                Exit::data);
  free = {static_cast<std::uint32_t>(entries_.size()), hashed};
  entries_.push_back({texts_.size(), static_cast<std::uint32_t>(text.size()), static_cast<TokenId>(id)});
  texts_ += text;
  if (id >= end_) end_ = static_cast<TokenId>(id + 1);
}

void TokenTable::close(const std::string& place) {
  if (static_cast<std::size_t>(end_) > 8 * entries_.size() + kFreeHoles)
    throw Error(place + ": the largest id is " + std::to_string(end_ - 1) + ", but there are only " +
                    xp::count(entries_.size(), "token") + "; this is no vocabulary",
                Exit::data);
  by_id_.assign(static_cast<std::size_t>(end_), kNone);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    auto& there = by_id_[static_cast<std::size_t>(entries_[i].id)];
    if (there != kNone)
      throw Error(place + ": tokens " + token_shown(text_of(entries_[there])) + " and " +
                      token_shown(text_of(entries_[i])) + " both have id " + std::to_string(entries_[i].id),
                  Exit::data);
    there = static_cast<std::uint32_t>(i);
  }
}

}  // namespace xp::pipeline
