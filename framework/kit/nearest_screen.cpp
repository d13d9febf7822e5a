#include "kit/nearest_screen.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace xp {
namespace {

void screen_plain(const std::uint8_t* keys, const std::int8_t* queries, std::size_t fours, const std::int32_t* start,
                  const std::int32_t* floor, std::uint32_t* mask, std::int32_t* sums) {
  for (std::size_t q = 0; q < kScreenQueries; ++q, sums += kScreenKeys) {
    std::memcpy(sums, start, kScreenKeys * sizeof *sums);
    for (std::size_t f = 0; f < fours; ++f)
      for (std::size_t j = 0; j < kScreenKeys; ++j)
        for (std::size_t d = 0; d < 4; ++d)
          sums[j] += keys[(f * kScreenKeys + j) * 4 + d] * queries[(f * kScreenQueries + q) * 4 + d];
    mask[q] = 0;
    for (std::size_t j = 0; j < kScreenKeys; ++j) mask[q] |= static_cast<std::uint32_t>(sums[j] > floor[q]) << j;
  }
}

#if defined(__x86_64__)
int four_of(const std::int8_t* queries) {
  int four;
  std::memcpy(&four, queries, sizeof four);
  return four;
}

// Stored keys below 128 let the sum of two products fit 16 bits (2 * 127 * 127), where this multiplication saturates.
__attribute__((target("avx2"))) void screen_avx2(const std::uint8_t* keys, const std::int8_t* queries,
                                                 std::size_t fours, const std::int32_t* start,
                                                 const std::int32_t* floor, std::uint32_t* mask, std::int32_t* sums) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::size_t q = 0; q < kScreenQueries; ++q) mask[q] = 0;
  for (std::size_t half = 0; half < kScreenKeys; half += 16) {
    const auto* from = reinterpret_cast<const __m256i*>(start + half);
    __m256i low[kScreenQueries], high[kScreenQueries];
#pragma GCC unroll 6
    for (std::size_t q = 0; q < kScreenQueries; ++q)
      low[q] = _mm256_loadu_si256(from), high[q] = _mm256_loadu_si256(from + 1);
    for (std::size_t f = 0; f < fours; ++f) {
      const auto* key = reinterpret_cast<const __m256i*>(keys + (f * kScreenKeys + half) * 4);
      const __m256i left = _mm256_loadu_si256(key), right = _mm256_loadu_si256(key + 1);
#pragma GCC unroll 6
      for (std::size_t q = 0; q < kScreenQueries; ++q) {
        const __m256i four = _mm256_set1_epi32(four_of(queries + (f * kScreenQueries + q) * 4));
        low[q] = _mm256_add_epi32(low[q], _mm256_madd_epi16(_mm256_maddubs_epi16(left, four), ones));
        high[q] = _mm256_add_epi32(high[q], _mm256_madd_epi16(_mm256_maddubs_epi16(right, four), ones));
      }
    }
#pragma GCC unroll 6
    for (std::size_t q = 0; q < kScreenQueries; ++q) {
      auto* to = reinterpret_cast<__m256i*>(sums + q * kScreenKeys + half);
      _mm256_storeu_si256(to, low[q]), _mm256_storeu_si256(to + 1, high[q]);
      const __m256i least = _mm256_set1_epi32(floor[q]);
      const auto above = [&](__m256i sum) __attribute__((target("avx2"))) {
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sum, least))));
      };
      mask[q] |= (above(low[q]) | above(high[q]) << 8) << half;
    }
  }
}

__attribute__((target("avx512f,avx512vnni"))) void screen_vnni(const std::uint8_t* keys, const std::int8_t* queries,
                                                               std::size_t fours, const std::int32_t* start,
                                                               const std::int32_t* floor, std::uint32_t* mask,
                                                               std::int32_t* sums) {
  __m512i low[kScreenQueries], high[kScreenQueries];
#pragma GCC unroll 6
  for (std::size_t q = 0; q < kScreenQueries; ++q)
    low[q] = _mm512_loadu_si512(start), high[q] = _mm512_loadu_si512(start + 16);
  for (std::size_t f = 0; f < fours; ++f, keys += 4 * kScreenKeys, queries += 4 * kScreenQueries) {
    const __m512i left = _mm512_loadu_si512(keys), right = _mm512_loadu_si512(keys + 64);
#pragma GCC unroll 6
    for (std::size_t q = 0; q < kScreenQueries; ++q) {
      const __m512i four = _mm512_set1_epi32(four_of(queries + q * 4));
      low[q] = _mm512_dpbusd_epi32(low[q], left, four);
      high[q] = _mm512_dpbusd_epi32(high[q], right, four);
    }
  }
#pragma GCC unroll 6
  for (std::size_t q = 0; q < kScreenQueries; ++q, sums += kScreenKeys) {
    _mm512_storeu_si512(sums, low[q]), _mm512_storeu_si512(sums + 16, high[q]);
    const __m512i least = _mm512_set1_epi32(floor[q]);
    mask[q] = static_cast<std::uint32_t>(_mm512_cmpgt_epi32_mask(low[q], least)) |
              static_cast<std::uint32_t>(_mm512_cmpgt_epi32_mask(high[q], least)) << 16;
  }
}
#endif

std::vector<Screen> found() {
  std::vector<Screen> out;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni")) out.push_back({128, screen_vnni});
  if (__builtin_cpu_supports("avx2")) out.push_back({64, screen_avx2});
#endif
  out.push_back({128, screen_plain});
  return out;
}

}  // namespace

const std::vector<Screen>& screens() {
  static const auto out = found();
  return out;
}

}  // namespace xp
