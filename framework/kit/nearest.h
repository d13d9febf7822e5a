#pragma once
// Exact nearest neighbours by cosine, without a matrix of similarities.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/export.h"

namespace xp {

/// `rows` vectors of `dim` numbers: one after the other, or those at the places `at` of such a table.
struct VectorRows {
  const float* data = nullptr;
  std::size_t rows = 0, dim = 0;
  const std::int64_t* at = nullptr;
  const float* row(std::size_t i) const { return data + (at ? static_cast<std::size_t>(at[i]) : i) * dim; }
};

struct Neighbour {
  std::int64_t row = 0;
  double cosine = 0;
};

/// For each query its min(k, keys.rows) nearest keys by cosine, nearest first, ties by row: [queries.rows * that].
/// Exact: what a search in double over all pairs gives, for any number of threads (0: one per core). A row of zeros
/// has cosine 0 to everything. Works beside one byte for each number of `keys`. Throws Error (Exit::data) if the
/// dimensions differ, exceed 32768, or a number is not finite.
XP_API std::vector<Neighbour> nearest_rows(const VectorRows& queries, const VectorRows& keys, std::size_t k,
                                           std::int64_t threads = 0);

/// The cosine that a key must exceed to count beside `best` (nearest first, not empty). Further keys never lower it,
/// and it moves by no more than the largest change of a cosine.
using LeastCosine = std::function<double(const std::vector<Neighbour>& best)>;

/// For each query the keys that exceed what `least` says of all keys, nearest first, ties by row, and perhaps some
/// that miss it by less than 1e-9. Exact and refused as nearest_rows(); `least` is called from several threads.
XP_API std::vector<std::vector<Neighbour>> support_rows(const VectorRows& queries, const VectorRows& keys,
                                                        const LeastCosine& least, std::int64_t threads = 0);

}  // namespace xp
