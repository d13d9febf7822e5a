#pragma once
// The inner loop of nearest.cpp: which of 32 keys may be near which of 6 queries, by products of small integers.
#include <cstddef>
#include <cstdint>

#include "base/export.h"

namespace xp {

constexpr std::size_t kScreenKeys = 32, kScreenQueries = 6;
constexpr int kQueryZero = 64;  ///< queries are stored as unsigned bytes, which stand for a number this much smaller

/// Layouts go by pairs of dimensions: of a pair, `keys` holds 32 times two numbers in -127..127, and `queries` holds
/// 6 times two numbers in 1..127 twice over. sums[32 q + j] becomes start[j] + sum(query q * key j), which must fit
/// 16 bits (what adds up on the way need not), and bit j of mask[q] whether that is above floor[q].
XP_API void screen(const std::int8_t* keys, const std::uint8_t* queries, std::size_t pairs, const std::int16_t* start,
                   const std::int16_t* floor, std::uint32_t* mask, std::int16_t* sums);

}  // namespace xp
