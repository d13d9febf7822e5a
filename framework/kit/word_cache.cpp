#include "kit/word_cache.h"

#include <bit>

namespace xp {

WordCache::WordCache(std::size_t places) : places_(std::bit_ceil(places)) {}

bool WordCache::find(std::string_view word, std::vector<CutPiece>& out) const {
  if (word.empty() || word.size() > kMaxWord) return false;
  const std::size_t at = place_of(word);
  const std::lock_guard lock(lock_of(at));
  const auto& place = places_[at];
  if (place.word != word) return false;
  out.insert(out.end(), place.pieces.begin(), place.pieces.end());
  return true;
}

void WordCache::keep(std::string_view word, const CutPiece* pieces, std::size_t n) {
  if (word.empty() || word.size() > kMaxWord) return;
  const std::size_t at = place_of(word);
  const std::lock_guard lock(lock_of(at));
  places_[at].word.assign(word);
  places_[at].pieces.assign(pieces, pieces + n);
}

}  // namespace xp
