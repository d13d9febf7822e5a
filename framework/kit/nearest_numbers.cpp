#include "kit/nearest_numbers.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include "base/wide.h"

namespace xp {
namespace {

using Lanes = float __attribute__((vector_size(32)));
constexpr std::size_t kLanes = sizeof(Lanes) / sizeof(float);

}  // namespace

XP_WIDE double dot(const float* a, const float* b, std::size_t n) {
  using Floats = float __attribute__((vector_size(16)));
  using Doubles = double __attribute__((vector_size(32)));
  Doubles low = {}, high = {};  // a vector of all eight would be kept in memory
  std::size_t d = 0;
  for (; d + 8 <= n; d += 8) {
    Floats x[2], y[2];
    std::memcpy(x, a + d, sizeof x), std::memcpy(y, b + d, sizeof y);
    low += __builtin_convertvector(x[0], Doubles) * __builtin_convertvector(y[0], Doubles);
    high += __builtin_convertvector(x[1], Doubles) * __builtin_convertvector(y[1], Doubles);
  }
  double sum = ((low[0] + low[1]) + (low[2] + low[3])) + ((high[0] + high[1]) + (high[2] + high[3]));
  for (; d < n; ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
  return sum;
}

XP_WIDE float quick_dot(const float* a, const float* b, std::size_t n) {
  Lanes sums[4] = {};
  std::size_t d = 0;
  for (; d + 4 * kLanes <= n; d += 4 * kLanes)
    for (std::size_t part = 0; part < 4; ++part) {
      Lanes x, y;
      std::memcpy(&x, a + d + part * kLanes, sizeof x), std::memcpy(&y, b + d + part * kLanes, sizeof y);
      sums[part] += x * y;
    }
  for (; d + kLanes <= n; d += kLanes) {
    Lanes x, y;
    std::memcpy(&x, a + d, sizeof x), std::memcpy(&y, b + d, sizeof y);
    sums[0] += x * y;
  }
  const Lanes all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = ((all[0] + all[1]) + (all[2] + all[3])) + ((all[4] + all[5]) + (all[6] + all[7]));
  for (; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

XP_WIDE void spread(double* x, std::size_t n) {
  for (std::size_t half = kLanes; half < n; half *= 2)
    for (std::size_t i = 0; i < n; i += 2 * half)
      for (std::size_t j = i; j < i + half; ++j) {
        const double a = x[j], b = x[j + half];
        x[j] = (a + b) * std::numbers::sqrt2 / 2, x[j + half] = (a - b) * std::numbers::sqrt2 / 2;
      }
}

XP_WIDE void round_to(Rounded& out, const double* x, std::size_t n, double scale) {
  out.numbers.resize(n);
  std::int8_t* to = out.numbers.data();
  int sum = 0, squares = 0;
  double error = 0;
  for (std::size_t d = 0; d < n; ++d) {
    const double exact = x[d] * scale;
    const int whole = static_cast<int>(exact + 128.5) - 128;  // what is not negative is cut off downwards
    to[d] = static_cast<std::int8_t>(whole), sum += whole, squares += whole * whole;
    error += (exact - whole) * (exact - whole);
  }
  out.sum = sum, out.length = std::sqrt(squares), out.error = std::sqrt(error);
}

}  // namespace xp
