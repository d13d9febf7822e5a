#pragma once
// Arithmetic of nearest.cpp: products of rows, and rows of small integers that stand for them.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xp {

/// A product of two floats is exact in double, so that every processor gives the same sum.
double dot(const float* a, const float* b, std::size_t n);

/// Off by no more than n roundings of |a| |b|.
float quick_dot(const float* a, const float* b, std::size_t n);

/// Rotates x by the transform of Walsh and Hadamard over numbers that lie a multiple of 8 apart; n a power of two.
void spread(double* x, std::size_t n);

/// A row of small integers that stands for `scale` times a vector.
struct Rounded {
  std::vector<std::int8_t> numbers;
  int sum = 0;
  double length = 0, error = 0;  ///< of the integers, and of what rounding took away
};

/// `scale` times x in whole numbers, which must fit a byte.
void round_to(Rounded& out, const double* x, std::size_t n, double scale);

}  // namespace xp
