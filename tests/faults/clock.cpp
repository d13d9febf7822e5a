// Preloaded into a program, sets its wall clock forward and back: by XP_CLOCK_JUMP seconds in every other call.
#include <dlfcn.h>
#include <time.h>

#include <atomic>
#include <cstdlib>

namespace {

long jump() {
  static const long size = [] {
    const char* text = std::getenv("XP_CLOCK_JUMP");
    return text ? std::atol(text) : 0L;
  }();
  static std::atomic<unsigned> calls{0};
  return calls++ % 2 == 0 ? size : 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  static auto* const next = reinterpret_cast<decltype(&::clock_gettime)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int done = next(clock, out);
  if (done == 0 && clock == CLOCK_REALTIME) out->tv_sec += jump();
  return done;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
