#include "kit/nearest_screen.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace xp {
namespace {

void screen_plain(const std::int8_t* keys, const std::uint8_t* queries, std::size_t pairs, const std::int16_t* start,
                  const std::int16_t* floor, std::uint32_t* mask, std::int16_t* sums) {
  for (std::size_t q = 0; q < kScreenQueries; ++q) {
    std::int32_t wide[kScreenKeys];
    for (std::size_t j = 0; j < kScreenKeys; ++j) wide[j] = start[j];
    for (std::size_t p = 0; p < pairs; ++p) {
      const std::int32_t first = queries[(p * kScreenQueries + q) * 4],
                         second = queries[(p * kScreenQueries + q) * 4 + 1];
      const std::int8_t* pair = keys + p * kScreenKeys * 2;
      for (std::size_t j = 0; j < kScreenKeys; ++j) wide[j] += first * pair[2 * j] + second * pair[2 * j + 1];
    }
    mask[q] = 0;
    for (std::size_t j = 0; j < kScreenKeys; ++j) {
      sums[q * kScreenKeys + j] = static_cast<std::int16_t>(wide[j]);
      mask[q] |= static_cast<std::uint32_t>(sums[q * kScreenKeys + j] > floor[q]) << j;
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"), always_inline)) inline __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

__attribute__((target("avx2"), always_inline)) inline void store(std::int16_t* to, __m256i numbers) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), numbers);
}

// Sums of two products fit 16 bits (2 * 127 * 127), so that the multiplication does not saturate; sums of more of
// them wrap around, which the last one undoes.
__attribute__((target("avx2"))) void screen_avx2(const std::int8_t* keys, const std::uint8_t* queries,
                                                 std::size_t pairs, const std::int16_t* start,
                                                 const std::int16_t* floor, std::uint32_t* mask, std::int16_t* sums) {
  __m256i low[kScreenQueries], high[kScreenQueries];
#pragma GCC unroll 6
  for (std::size_t q = 0; q < kScreenQueries; ++q) low[q] = load(start), high[q] = load(start + 16);
  for (std::size_t p = 0; p < pairs; ++p, keys += 2 * kScreenKeys, queries += 4 * kScreenQueries) {
    const __m256i left = load(keys), right = load(keys + kScreenKeys);
#pragma GCC unroll 6
    for (std::size_t q = 0; q < kScreenQueries; ++q) {
      const __m256i both = _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(queries) + q));
      low[q] = _mm256_add_epi16(low[q], _mm256_maddubs_epi16(both, left));
      high[q] = _mm256_add_epi16(high[q], _mm256_maddubs_epi16(both, right));
    }
  }
#pragma GCC unroll 6
  for (std::size_t q = 0; q < kScreenQueries; ++q, sums += kScreenKeys) {
    store(sums, low[q]), store(sums + 16, high[q]);
    const __m256i least = _mm256_set1_epi16(floor[q]);
    const __m256i bytes = _mm256_packs_epi16(_mm256_cmpgt_epi16(low[q], least), _mm256_cmpgt_epi16(high[q], least));
    mask[q] = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_permute4x64_epi64(bytes, 0xD8)));
  }
}
#endif

}  // namespace

void screen(const std::int8_t* keys, const std::uint8_t* queries, std::size_t pairs, const std::int16_t* start,
            const std::int16_t* floor, std::uint32_t* mask, std::int16_t* sums) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2");
  if (wide) return screen_avx2(keys, queries, pairs, start, floor, mask, sums);
#endif
  screen_plain(keys, queries, pairs, start, floor, mask, sums);
}

}  // namespace xp
