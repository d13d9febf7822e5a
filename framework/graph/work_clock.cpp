#include "graph/work_clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace xp {
namespace {

// Open as long as its thread lives: a step asks often.
class Schedule {
 public:
  Schedule() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;
  ~Schedule() {
    if (file_ >= 0) ::close(file_);
  }

  // The second of the line's three numbers, in nanoseconds.
  double delay_seconds() const {
    std::array<char, 96> line{};
    const auto got = file_ < 0 ? -1 : ::pread(file_, line.data(), line.size(), 0);
    if (got <= 0) return 0;
    const char* const end = line.data() + got;
    const char* const gap = std::find<const char*>(line.data(), end, ' ');
    std::uint64_t nanoseconds = 0;
    if (gap == end || std::from_chars(gap + 1, end, nanoseconds).ec != std::errc()) return 0;
    return static_cast<double>(nanoseconds) * 1e-9;
  }

 private:
  int file_;
};

double delay() {
  thread_local const Schedule schedule;
  return schedule.delay_seconds();
}

}  // namespace

WorkClock::WorkClock() : started_(std::chrono::steady_clock::now()), delayed_(delay()) {}

double WorkClock::seconds() const {
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - started_;
  return std::max(wall.count() - (delay() - delayed_), 0.0);
}

}  // namespace xp
