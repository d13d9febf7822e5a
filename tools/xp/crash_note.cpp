#include "crash_note.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace xp::program {
namespace {

struct Crash {
  int signal;
  const char* name;
};
constexpr Crash kCrashes[] = {{SIGSEGV, "SIGSEGV: it touched memory that is not its own"},
                              {SIGBUS, "SIGBUS: memory or a mapped file went away"},
                              {SIGFPE, "SIGFPE: an arithmetic trap"},
                              {SIGILL, "SIGILL: an instruction that this processor does not have"},
                              {SIGABRT, "SIGABRT: it gave up by itself"}};

// What the handler may use: it can neither allocate nor lock.
char note_file[4096];
alignas(16) char handler_stack[1 << 16];
std::array<struct sigaction, std::size(kCrashes)> before;

void write_note(int signal) {
  const int file = ::open(note_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  for (const auto& crash : kCrashes)
    if (crash.signal == signal && file >= 0) {
      [[maybe_unused]] const auto written = ::write(file, crash.name, std::strlen(crash.name));
    }
  if (file >= 0) ::fsync(file), ::close(file);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

CrashNote::CrashNote(const std::filesystem::path& file) {
  const auto text = std::filesystem::absolute(file).string();
  if (text.size() >= sizeof note_file) throw Error(backquoted(text) + " is too long a name", Exit::usage);
  std::strcpy(note_file, text.c_str());
  stack_t stack{};
  stack.ss_sp = handler_stack, stack.ss_size = sizeof handler_stack;
  ::sigaltstack(&stack, nullptr);  // a stack that overflowed cannot run the handler
  struct sigaction action {};
  action.sa_handler = write_note;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (std::size_t i = 0; i < std::size(kCrashes); ++i) ::sigaction(kCrashes[i].signal, &action, &before[i]);
}

CrashNote::~CrashNote() {
  for (std::size_t i = 0; i < std::size(kCrashes); ++i) ::sigaction(kCrashes[i].signal, &before[i], nullptr);
}

}  // namespace xp::program
