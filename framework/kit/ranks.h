#pragma once
// What correlations are made of: ranks, and numbers without unit.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace xp {

/// Ranks from 1; equal numbers share the average of theirs. None may be NaN.
inline std::vector<double> average_ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (std::size_t from = 0; from < order.size();) {
    auto to = from + 1;
    while (to < order.size() && values[order[to]] == values[order[from]]) ++to;
    for (auto i = from; i < to; ++i) out[order[i]] = static_cast<double>(from + 1 + to) / 2;
    from = to;
  }
  return out;
}

/// The numbers less their mean, divided by their standard deviation (of all, not of a sample); zeros if all are
/// equal. The mean of the products of two lists made so is their correlation (Pearson 1895), of ranks that of
/// Spearman 1904.
inline std::vector<double> standardised(std::vector<double> values) {
  const bool equal = std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); });
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (auto& value : values) value -= mean, squares += value * value;
  for (auto& value : values) value = equal ? 0 : value / std::sqrt(squares / n);
  return values;
}

}  // namespace xp
