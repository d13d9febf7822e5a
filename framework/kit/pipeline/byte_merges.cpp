#include "kit/pipeline/byte_merges.h"

#include <algorithm>

#include "kit/byte_level.h"
#include "kit/pipeline/long_merges.h"

namespace xp::pipeline {
namespace {

// Bytes up to which looking at every pair is fastest: fewer where tokens are of several characters beyond ASCII.
constexpr std::size_t kShort = 20, kShortKnown = 10;

}  // namespace

ByteMerges::ByteMerges(const Model& model) : model_(model), rules_(*model.plain_merges()) {}
ByteMerges::~ByteMerges() = default;

std::unique_ptr<const ByteMerges> ByteMerges::of(const Model& model) {
  if (model.plain_merges() == nullptr) return nullptr;
  std::unique_ptr<ByteMerges> out(new ByteMerges(model));
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(static_cast<unsigned char>(byte));
    const auto id = model.tokens().find(to_byte_level({&one, 1}));
    if (!id) return nullptr;
    out->bytes_[byte] = *id;
  }
  out->first_.reserve(std::size_t{1} << 16);
  for (const TokenId left : out->bytes_)
    for (const TokenId right : out->bytes_) out->first_.push_back(out->step(left, right));
  out->long_ = LongMerges::of(model.tokens(), out->rules_, out->bytes_);
  return out;
}

void ByteMerges::cut(std::string_view word, std::vector<TokenId>& ids) const {
  if (model_.takes_whole_words())
    if (const auto whole = model_.tokens().find(to_byte_level(word))) return ids.push_back(*whole);
  const bool short_word = word.size() <= kShortKnown || (word.size() <= kShort && !(long_ && long_->knows(word)));
  short_word ? cut_short(word, ids) : cut_long(word, ids);
}

void ByteMerges::cut_short(std::string_view word, std::vector<TokenId>& ids) const {
  std::array<TokenId, kShort> parts;
  std::array<std::uint32_t, kShort> ranks;  // of the pair that begins at each part
  std::array<TokenId, kShort> results;
  const auto set = [&](std::size_t i, Step step) { ranks[i] = step.rank, results[i] = step.result; };
  std::size_t n = word.size();
  for (std::size_t i = 0; i < n; ++i) parts[i] = bytes_[static_cast<unsigned char>(word[i])];
  for (std::size_t i = 0; i + 1 < n; ++i)
    set(i, first_[static_cast<unsigned char>(word[i]) << 8 | static_cast<unsigned char>(word[i + 1])]);
  while (n > 1) {
    const auto best =
        static_cast<std::size_t>(std::min_element(ranks.begin(), ranks.begin() + (n - 1)) - ranks.begin());
    if (ranks[best] == MergeRules::kNone) break;
    parts[best] = results[best];
    --n;
    for (std::size_t i = best + 1; i < n; ++i) parts[i] = parts[i + 1];
    for (std::size_t i = best + 1; i + 1 < n; ++i) ranks[i] = ranks[i + 1], results[i] = results[i + 1];
    if (best + 1 < n) set(best, step(parts[best], parts[best + 1]));
    if (best > 0) set(best - 1, step(parts[best - 1], parts[best]));
  }
  ids.insert(ids.end(), parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(n));
}

void ByteMerges::cut_long(std::string_view word, std::vector<TokenId>& ids) const {
  if (long_) return long_->cut(word, ids);
  static thread_local MergeWord parts;
  parts.clear();
  for (const char byte : word) parts.add(bytes_[static_cast<unsigned char>(byte)], 1);
  rules_.apply(parts, true);
  ids.insert(ids.end(), parts.ids.begin(), parts.ids.end());
}

}  // namespace xp::pipeline
