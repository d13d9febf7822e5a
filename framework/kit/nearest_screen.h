#pragma once
// The inner loop of nearest.cpp: which of 32 keys may be near which of 6 queries, by products of small integers.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/export.h"

namespace xp {

constexpr std::size_t kScreenKeys = 32, kScreenQueries = 6;

/// One way to multiply. Keys are stored as unsigned bytes, which stand for a number `zero` smaller. Layouts go by
/// four dimensions: of these, `keys` holds 32 times four numbers in 0..2 * zero - 1, and `queries` 6 times four
/// numbers in -127..127. sums[32 q + j] becomes start[j] + sum(query q * stored key j), which must fit 32 bits, and
/// bit j of mask[q] whether that is above floor[q].
struct Screen {
  int zero = 128;
  void (*run)(const std::uint8_t* keys, const std::int8_t* queries, std::size_t fours, const std::int32_t* start,
              const std::int32_t* floor, std::uint32_t* mask, std::int32_t* sums) = nullptr;
};

/// Those that this processor can run, the fastest first.
XP_API const std::vector<Screen>& screens();

}  // namespace xp
