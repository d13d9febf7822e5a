#pragma once
// Exact nearest neighbours by cosine, without a matrix of similarities.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/export.h"

namespace xp {

/// Vectors one after the other: `rows` of `dim` numbers.
struct VectorRows {
  const float* data = nullptr;
  std::size_t rows = 0, dim = 0;
};

struct Neighbour {
  std::int64_t row = 0;
  double cosine = 0;
};

/// For each query its min(k, keys.rows) nearest keys by cosine, nearest first, ties by row: [queries.rows * that].
/// Exact: what a search in double over all pairs gives, for any number of threads (0: one per core). A row of zeros
/// has cosine 0 to everything. Works beside one byte for each number of `keys`. Throws Error (Exit::data) if the
/// dimensions differ, exceed 65536, or a number is not finite.
XP_API std::vector<Neighbour> nearest_rows(const VectorRows& queries, const VectorRows& keys, std::size_t k,
                                           std::int64_t threads = 0);

}  // namespace xp
