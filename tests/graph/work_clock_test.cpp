#include "graph/work_clock.h"

#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <thread>
#include <vector>

namespace xp {
namespace {

using namespace std::chrono_literals;

// On the core where the calling process stands first in its mask.
double work_on_one_core(std::chrono::milliseconds wall) {
  cpu_set_t allowed, one;
  sched_getaffinity(0, sizeof allowed, &allowed);
  CPU_ZERO(&one);
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) {
      CPU_SET(core, &one);
      break;
    }
  sched_setaffinity(0, sizeof one, &one);  // of this thread
  const WorkClock clock;
  const auto end = std::chrono::steady_clock::now() + wall;
  while (std::chrono::steady_clock::now() < end) continue;
  return clock.seconds();
}

TEST_CASE("time that a thread waits for a core is no work, time that it sleeps is") {
  if (!std::filesystem::exists("/proc/thread-self/schedstat")) SKIP("the system does not tell how long threads wait");
  std::vector<double> worked(3);
  {
    std::vector<std::jthread> threads;
    for (auto& seconds : worked) threads.emplace_back([&seconds] { seconds = work_on_one_core(600ms); });
  }
  // Shares are fair in the long run, not from slice to slice.
  CHECK(worked[0] + worked[1] + worked[2] < 2 * 0.6);
  for (const double seconds : worked) CHECK(seconds < 0.5);

  const WorkClock clock;
  std::this_thread::sleep_for(60ms);
  CHECK(clock.seconds() >= 0.055);
}

}  // namespace
}  // namespace xp
