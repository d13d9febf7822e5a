#pragma once
// Which training states of a running stage stay on the disk.
#include <cstdint>

namespace xp {

struct StateRetention {
  std::int64_t last = 2;  ///< the newest, at least 1; the older ones are for the day on which that one is damaged
  double max_bytes = 0;   ///< of all of a stage's together, but for the newest, which always stays; 0: any
};

}  // namespace xp
