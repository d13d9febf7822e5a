#include "graph/state_retention.h"

#include <algorithm>

namespace xp {
namespace {

std::vector<std::size_t> best_first(const std::vector<SavedState>& saved) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < saved.size(); ++i)
    if (saved[i].score) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return *saved[a].score > *saved[b].score; });
  return order;
}

}  // namespace

std::vector<bool> staying(const std::vector<SavedState>& saved, const StateRetention& keep) {
  std::vector<bool> stays(saved.size(), false);
  double bytes = 0;
  const auto take = [&](std::size_t i) {
    if (stays[i]) return;
    const bool fits = keep.max_bytes <= 0 || i == 0 || bytes + saved[i].bytes <= keep.max_bytes;
    if (fits) stays[i] = true, bytes += saved[i].bytes;
  };
  for (std::size_t i = 0; i < saved.size() && (i == 0 || static_cast<std::int64_t>(i) < keep.last); ++i) take(i);
  auto best = best_first(saved);
  best.resize(std::min(best.size(), static_cast<std::size_t>(keep.best)));
  for (const auto i : best) take(i);
  for (std::size_t i = 0; i < saved.size(); ++i)
    if (keep.every > 0 && saved[i].step > 0 && saved[i].step % keep.every == 0) take(i);
  return stays;
}

}  // namespace xp
