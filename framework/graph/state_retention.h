#pragma once
// Which training states of a running stage stay on the disk.
#include <cstdint>
#include <optional>
#include <vector>

#include "base/export.h"

namespace xp {

struct StateRetention {
  std::int64_t last = 2;   ///< the newest, at least 1; the older ones are for the day on which that one is damaged
  std::int64_t best = 0;   ///< those with the best values of what the stage is judged by
  std::int64_t every = 0;  ///< those of steps that this divides; 0: none
  double max_bytes = 0;    ///< of all of a stage's together, but for the newest, which always stays; 0: any
};

struct SavedState {
  std::int64_t step = 0;
  double bytes = 0;
  std::optional<double> score;  ///< the higher, the better
};

/// Of `saved`, the newest first, whether each stays. What `max_bytes` has no room for goes in this order: of `every`
/// the oldest first, then the worst of `best`, then the oldest of `last`.
XP_API std::vector<bool> staying(const std::vector<SavedState>& saved, const StateRetention& keep);

}  // namespace xp
