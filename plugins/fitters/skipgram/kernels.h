#pragma once
// Arithmetic of one step on rows of floats: dot products, logistic errors, weighted sums of rows. All is inlined into
// functions that are compiled for several processors, so that no flag of the build decides which.
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/wide.h"

namespace xp::skipgram {

#define XP_INLINE [[gnu::always_inline]] inline

constexpr std::size_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using LooseLanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

/// Numbers from one row to the next: whole lanes; the padding is zero and stays so under every update.
constexpr std::size_t padded(std::size_t dim) { return (dim + kLanes - 1) / kLanes * kLanes; }

XP_INLINE const LooseLanes& lanes(const float* at) { return *reinterpret_cast<const LooseLanes*>(at); }
XP_INLINE LooseLanes& lanes(float* at) { return *reinterpret_cast<LooseLanes*>(at); }

/// to += scale * from, `n` a multiple of kLanes.
XP_INLINE void add_scaled(float* to, const float* from, float scale, std::size_t n) {
  for (std::size_t d = 0; d < n; d += kLanes) lanes(to + d) += scale * lanes(from + d);
}

/// Sum of the squares of `n` numbers.
XP_INLINE float squared_length(const float* row, std::size_t n) {
  Lanes sums{};
  for (std::size_t d = 0; d < n; d += kLanes) sums += lanes(row + d) * lanes(row + d);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// sums[c] = all eight numbers of parts[c] together: three levels of additions instead of seven a column.
XP_INLINE void sum_lanes(const Lanes (&parts)[kLanes], float* sums) {
  using Order = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
  constexpr Order even{0, 8, 2, 10, 4, 12, 6, 14}, odd{1, 9, 3, 11, 5, 13, 7, 15};
  constexpr Order low{0, 1, 8, 9, 4, 5, 12, 13}, high{2, 3, 10, 11, 6, 7, 14, 15};
  constexpr Order front{0, 1, 2, 3, 8, 9, 10, 11}, back{4, 5, 6, 7, 12, 13, 14, 15};
  Lanes twos[4], fours[2];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; ++i)
    twos[i] = __builtin_shuffle(parts[2 * i], parts[2 * i + 1], even) +
              __builtin_shuffle(parts[2 * i], parts[2 * i + 1], odd);
#pragma GCC unroll 2
  for (std::size_t i = 0; i < 2; ++i)
    fours[i] =
        __builtin_shuffle(twos[2 * i], twos[2 * i + 1], low) + __builtin_shuffle(twos[2 * i], twos[2 * i + 1], high);
  lanes(sums) = __builtin_shuffle(fours[0], fours[1], front) + __builtin_shuffle(fours[0], fours[1], back);
}

/// scores[c] = <hidden, rows[c]> for eight rows of `n` numbers.
XP_INLINE void eight_scores(const float* hidden, const float* const* rows, std::size_t n, float* scores) {
  Lanes parts[kLanes];
#pragma GCC unroll 8
  for (std::size_t c = 0; c < kLanes; ++c) parts[c] = Lanes{};
  for (std::size_t d = 0; d < n; d += kLanes) {
    const Lanes x = lanes(hidden + d);
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kLanes; ++c) parts[c] += x * lanes(rows[c] + d);
  }
  sum_lanes(parts, scores);
}

/// 1 / (1 + exp(-x)) to 2e-6, without a branch or a call so that loops over it become vectors. No number counts as
/// -40.
XP_INLINE float sigmoid(float x) {
  x = !(x > -40.0F) ? -40.0F : x;
  x = x > 40.0F ? 40.0F : x;
  const float y = x * -1.44269504F;
  const float whole = (y + 12582912.0F) - 12582912.0F;  // the nearest integer: no bits are left for a fraction
  const float t = y - whole;
  float power = 1.33335581e-3F;  // Taylor series of 2^t, |t| <= 1/2
  power = power * t + 9.61812911e-3F;
  power = power * t + 5.55041087e-2F;
  power = power * t + 2.40226507e-1F;
  power = power * t + 6.93147181e-1F;
  power = power * t + 1.0F;
  const auto exponent = std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
  return 1.0F / (1.0F + power * exponent);
}

/// steps[i] = rate * weights[i] * (truth - sigmoid(scores[i])): minus the gradient of weighted logistic losses.
XP_INLINE void logistic_steps(const float* scores, const float* weights, float truth, float rate, std::size_t n,
                              float* steps) {
  for (std::size_t i = 0; i < n; ++i) steps[i] = rate * weights[i] * (truth - sigmoid(scores[i]));
}

/// One of a matrix of factors, read in either direction.
struct Factors {
  const float* data = nullptr;
  std::size_t row = 0, column = 0;  ///< distances from one to the next
  float operator()(std::size_t r, std::size_t c) const { return data[r * row + c * column]; }
};

/// to[r] += sum over c of factors(r, c) * rows[c], for four rows `to` that lie `n` numbers apart.
XP_INLINE void four_sums(float* to, Factors factors, const float* const* rows, std::size_t count, std::size_t n) {
  constexpr std::size_t wide = 2 * kLanes;
  std::size_t d = 0;
  for (; d + wide <= n; d += wide) {
    Lanes sums[4][2];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < 4; ++r)
      sums[r][0] = lanes(to + r * n + d), sums[r][1] = lanes(to + r * n + d + kLanes);
    for (std::size_t c = 0; c < count; ++c) {
      const Lanes left = lanes(rows[c] + d), right = lanes(rows[c] + d + kLanes);
#pragma GCC unroll 4
      for (std::size_t r = 0; r < 4; ++r) sums[r][0] += factors(r, c) * left, sums[r][1] += factors(r, c) * right;
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < 4; ++r)
      lanes(to + r * n + d) = sums[r][0], lanes(to + r * n + d + kLanes) = sums[r][1];
  }
  for (; d < n; d += kLanes)
    for (std::size_t c = 0; c < count; ++c)
      for (std::size_t r = 0; r < 4; ++r) lanes(to + r * n + d) += factors(r, c) * lanes(rows[c] + d);
}

/// gradient += sum over c of steps[c] * rows[c] and then rows[c] += steps[c] * hidden, for four rows.
XP_INLINE void move_four(float* gradient, float* const* rows, const float* hidden, const float* steps,
                         std::size_t n) {
  for (std::size_t d = 0; d < n; d += kLanes) {
    const Lanes x = lanes(hidden + d);
    Lanes sum = lanes(gradient + d);
#pragma GCC unroll 4
    for (std::size_t c = 0; c < 4; ++c) {
      const Lanes row = lanes(rows[c] + d);
      sum += steps[c] * row;
      lanes(rows[c] + d) = row + steps[c] * x;
    }
    lanes(gradient + d) = sum;
  }
}

}  // namespace xp::skipgram
