#pragma once
// Time that a thread worked or waited for what it asked for, without the time that it waited for a core.
#include <chrono>

#include "base/export.h"

namespace xp {

/// Runs from its construction; belongs to the thread that made it.
class XP_API WorkClock {
 public:
  WorkClock();
  /// Seconds on the wall less those in which the thread was ready and others had the cores, so that a busy machine
  /// does not make the work look larger. Where the system does not tell, the wall's alone.
  double seconds() const;

 private:
  std::chrono::steady_clock::time_point started_;
  double delayed_;
};

}  // namespace xp
