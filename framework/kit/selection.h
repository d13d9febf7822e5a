#pragma once
// Keeping the documents with the highest numbers until a share of the corpus is reached.
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "api/selector.h"

namespace xp {

enum class ShareOf : std::uint8_t { documents, bytes };

/// Goes through the documents from the highest key to the lowest, equal ones in their order, and keeps each until
/// those kept are `share` of all documents or of all bytes. `keys` has one entry, which is a number, for each.
inline std::vector<bool> keep_highest(std::span<const double> keys, std::span<const Scored> documents, double share,
                                      ShareOf of) {
  const auto amount = [&](std::size_t i) {
    return of == ShareOf::documents ? 1.0 : static_cast<double>(documents[i].bytes);
  };
  double all = 0, kept = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) all += amount(i);
  std::vector<std::size_t> order(documents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return keys[a] > keys[b]; });
  std::vector<bool> out(documents.size(), false);
  const double wanted = share * all * (1 - 1e-12);  // 0.07 of 100 are 7, although 0.07 * 100 is a little more
  for (const auto i : order) {
    if (kept >= wanted) break;
    out[i] = true, kept += amount(i);
  }
  return out;
}

}  // namespace xp
