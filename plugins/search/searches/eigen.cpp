#include "eigen.h"

#include <cmath>

namespace xp::searches {
namespace {

/// Rotates rows and columns p and q so that the element between them is 0.
void rotate(std::vector<double>& a, std::vector<double>& vectors, std::size_t n, std::size_t p, std::size_t q) {
  const double tau = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
  const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::sqrt(1 + tau * tau));  // the smaller angle
  const double c = 1 / std::sqrt(1 + t * t), s = t * c;
  const auto turn = [&](double& x, double& y) {
    const double before = x;
    x = c * before - s * y;
    y = s * before + c * y;
  };
  for (std::size_t k = 0; k < n; ++k) turn(a[k * n + p], a[k * n + q]);
  for (std::size_t k = 0; k < n; ++k) turn(a[p * n + k], a[q * n + k]);
  for (std::size_t k = 0; k < n; ++k) turn(vectors[k * n + p], vectors[k * n + q]);
}

}  // namespace

Eigen symmetric_eigen(std::vector<double> matrix, std::size_t n) {
  constexpr int kMostSweeps = 50;  // ten do for any matrix; a NaN in it would never end
  Eigen out;
  out.vectors.assign(n * n, 0);
  double size = 0;
  for (std::size_t i = 0; i < n; ++i) out.vectors[i * n + i] = 1;
  for (const double one : matrix) size += one * one;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) off += matrix[p * n + q] * matrix[p * n + q];
    if (off <= 1e-32 * size) break;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q)
        if (matrix[p * n + q] != 0) rotate(matrix, out.vectors, n, p, q);
  }
  for (std::size_t i = 0; i < n; ++i) out.values.push_back(matrix[i * n + i]);
  return out;
}

}  // namespace xp::searches
