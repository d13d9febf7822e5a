#include "kit/pipeline/id_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace xp::pipeline {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kFirstPlaces = std::size_t{1} << 12;
constexpr std::size_t kMostPool = std::size_t{1} << 23;  // ids; when it is full, all is forgotten

std::size_t ids_for(std::size_t bytes) { return (bytes + sizeof(TokenId) - 1) / sizeof(TokenId); }

}  // namespace

IdCache::IdCache(std::size_t most_places) : most_places_(std::bit_ceil(std::max<std::size_t>(most_places, 2))) {
  make(std::min(kFirstPlaces, most_places_));
}

// Words lie all over the table, so a large one is on huge pages where the system has them.
void IdCache::make(std::size_t places) {
  const std::size_t bytes = places * sizeof(Place), page = bytes >= kHugePage ? kHugePage : sizeof(Place) * 2;
  void* memory = std::aligned_alloc(page, (bytes + page - 1) / page * page);
  if (memory == nullptr) throw std::bad_alloc();
  if (bytes >= kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);  // a wish
  places_.reset(static_cast<Place*>(memory));
  std::uninitialized_value_construct_n(places_.get(), places);
  mask_ = places - 1;
}

// The highest byte of `high` is 0xFF, which no length of a short word is.
IdCache::Key IdCache::long_key(const char* word, std::size_t size) {
  std::uint64_t low = 0x243F6A8885A308D3u ^ size, high = 0x13198A2E03707344u;
  for (std::size_t at = 0; at < size; at += 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, word + at, std::min<std::size_t>(8, size - at));
    low = mixed(low ^ part, high), high = std::rotl(high ^ part, 29) * 0xC2B2AE3D27D4EB4Fu;
  }
  high |= 0xFF00000000000000u;
  return {low, high, mixed(low, high)};
}

int IdCache::find_more(const Place& place, std::string_view word, TokenId* to) {
  const bool is_long = word.size() > 15;
  const std::size_t at = static_cast<std::size_t>(place.ids[0]);
  const std::size_t text = is_long ? ids_for(word.size()) + 1 : 0;
  if (is_long && (static_cast<std::size_t>(pool_[at]) != word.size() ||
                  std::memcmp(&pool_[at + 1], word.data(), word.size()) != 0))
    return -1;
  more_ = &pool_[at + text];
  std::memcpy(to, more_, std::min<std::size_t>(place.n, kInline) * sizeof(TokenId));
  return static_cast<int>(place.n);
}

void IdCache::keep(const Key& key, std::string_view word, const TokenId* ids, std::size_t n) {
  if (word.size() > kMostWord) return;
  const bool is_long = word.size() > 15, pooled = is_long || n > kInline;
  if (pooled && pool_.size() + ids_for(word.size()) + 1 + n > kMostPool) {
    std::fill_n(places_.get(), mask_ + 1, Place{});
    pool_.clear(), kept_ = 0;
  }
  if (4 * ++kept_ > mask_ + 1 && mask_ + 1 < most_places_) grow();
  Place place{.low = key.low, .high = key.high, .n = static_cast<std::uint32_t>(n)};
  if (pooled) {
    place.ids[0] = static_cast<TokenId>(pool_.size());
    if (is_long) {
      pool_.push_back(static_cast<TokenId>(word.size()));
      pool_.resize(pool_.size() + ids_for(word.size()));
      std::memcpy(&pool_[static_cast<std::size_t>(place.ids[0]) + 1], word.data(), word.size());
    }
    pool_.insert(pool_.end(), ids, ids + n);
  } else {
    std::copy_n(ids, n, place.ids);
  }
  Place* pair = &places_[key.hash & mask_ & ~std::uint64_t{1}];
  pair[1] = std::exchange(pair[0], place);
}

void IdCache::grow() {
  const auto old = std::move(places_);
  const std::size_t before = mask_ + 1;
  make(2 * before);
  for (std::size_t i = 0; i < before; ++i) {
    const auto& place = old[i];
    if (place.high == 0) continue;
    Place* pair = &places_[mixed(place.low, place.high) & mask_ & ~std::uint64_t{1}];
    pair[1] = std::exchange(pair[0], place);
  }
}

}  // namespace xp::pipeline
