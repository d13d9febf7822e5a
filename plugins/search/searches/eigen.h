#pragma once
#include <vector>

namespace xp::searches {

/// matrix = vectors x diag(values) x vectors transposed; n x n row by row, eigenvectors are columns.
struct Eigen {
  std::vector<double> values, vectors;
};

/// Of a symmetric matrix, by cyclic rotations after Jacobi 1846 (Golub and Van Loan, "Matrix Computations", 4th ed.,
/// algorithm 8.5.3). Meant for n up to some fifty.
Eigen symmetric_eigen(std::vector<double> matrix, std::size_t n);

}  // namespace xp::searches
