#include "plugin/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"

extern char** environ;

namespace xp {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kErrorsKept = 4096;

[[noreturn]] void failed(const std::string& what, int reason) {
  throw Error("cannot run " + backquoted(what) + ": " + std::strerror(reason), Exit::plugin);
}

/// A pipe from the child; both ends are closed on exec and at the end.
class Pipe {
 public:
  explicit Pipe(const std::string& program) {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) failed(program, errno);
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  ~Pipe() { close_end(0), close_end(1); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int from() const { return ends_[0]; }
  int to() const { return ends_[1]; }
  bool open() const { return ends_[0] >= 0; }
  void close_end(int end) {
    if (ends_[end] >= 0) ::close(std::exchange(ends_[end], -1));
  }
  /// Appends what is there now; closes at the end of the stream.
  void drain(std::string& out, std::size_t most, bool keep_end) {
    std::array<char, 65536> buffer;
    while (open() && (keep_end || out.size() <= most)) {
      const auto n = ::read(from(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return close_end(0);
      out.append(buffer.data(), static_cast<std::size_t>(n));
      if (keep_end && out.size() > most) out.erase(0, out.size() - most);
    }
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

pid_t start(const std::vector<std::string>& command, const Pipe& output, const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.to(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors.to(), STDERR_FILENO);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const auto& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int done = ::posix_spawn(&child, command.front().c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (done != 0) failed(command.front(), done);
  return child;
}

// True once the child has ended. It is left as a zombie, so that its process group's number stays taken.
bool has_ended(pid_t child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

}  // namespace

XP_API ChildResult run_child(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                             std::size_t most_output) {
  Pipe output(command.front()), errors(command.front());
  const auto end = Clock::now() + limit;
  const pid_t child = start(command, output, errors);
  output.close_end(1), errors.close_end(1);
  ChildResult result;
  while (!(result.finished = has_ended(child)) && !result.too_much && Clock::now() < end) {
    std::array<pollfd, 2> wait{pollfd{output.from(), POLLIN, 0}, pollfd{errors.from(), POLLIN, 0}};  // -1 is ignored
    ::poll(wait.data(), wait.size(), 10);
    output.drain(result.output, most_output, false);
    errors.drain(result.errors, kErrorsKept, true);
    result.too_much = result.output.size() > most_output;
  }
  ::kill(-child, SIGKILL);  // whatever it started as well
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  output.drain(result.output, most_output, false);
  errors.drain(result.errors, kErrorsKept, true);
  result.too_much = result.too_much || result.output.size() > most_output;
  if (result.finished && WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (result.finished && WIFEXITED(status)) result.code = WEXITSTATUS(status);
  return result;
}

XP_API std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "unknown signal";
}

}  // namespace xp
