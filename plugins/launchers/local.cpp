#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "api/search.h"
#include "base/log.h"
#include "base/text.h"
#include "plugin/child.h"
#include "plugin/plugin.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(50);  // between two looks at the copies
constexpr auto kShortLife = std::chrono::seconds(1);    // what ends sooner has done no work
constexpr int kShortLives = 3;                          // in a row: it would go on like that for ever
constexpr std::uintmax_t kLastLine = 4096;              // bytes of a log that are looked at for its last line

/// The cores that this process may use: taskset, Slurm and containers give it a part of the machine's.
std::vector<int> own_cores() {
  cpu_set_t mine;
  if (::sched_getaffinity(0, sizeof mine, &mine) != 0)
    throw xp::Error(std::string("cannot tell which cores this process may use: ") + std::strerror(errno) +
                    "; `cores` = 0 leaves workers where they are");
  std::vector<int> out;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &mine)) out.push_back(i);
  return out;
}

/// What exec takes, made before fork(): the child may not ask for memory.
class Program {
 public:
  Program(std::vector<std::string> command, std::int64_t threads) : command_(std::move(command)) {
    for (char** one = environ; *one; ++one) environment_.push_back(*one);
    if (threads > 0 && !std::getenv("OMP_NUM_THREADS")) {
      threads_ = "OMP_NUM_THREADS=" + std::to_string(threads);
      environment_.push_back(threads_.data());
    }
    for (auto& one : command_) arguments_.push_back(one.data());
    arguments_.push_back(nullptr), environment_.push_back(nullptr);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const std::string& name() const { return command_.front(); }
  void become() const { ::execve(arguments_.front(), arguments_.data(), environment_.data()); }

 private:
  std::vector<std::string> command_;
  std::string threads_;
  std::vector<char*> arguments_, environment_;
};

/// A descriptor that is closed at the end and on exec.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
};

/// The child's part: only async-signal-safe calls, since another thread may have held any lock at the fork. Ends with
/// the reason on `report` if there is no exec.
[[noreturn]] void be_worker(const Program& program, int log, const cpu_set_t* cores, pid_t parent, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(0);  // it ended before it could be watched
  const int nothing = ::open("/dev/null", O_RDONLY);
  const bool ready = nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(log, STDOUT_FILENO) >= 0 &&
                     ::dup2(log, STDERR_FILENO) >= 0 && (!cores || ::sched_setaffinity(0, sizeof *cores, cores) == 0);
  int reason = errno;
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);  // files of ours that were opened without it
  sigset_t none;
  sigemptyset(&none);
  ::signal(SIGTERM, SIG_DFL);  // a request that comes now must not end in a handler of ours
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (ready) program.become(), reason = errno;
  [[maybe_unused]] const auto told = ::write(report, &reason, sizeof reason);
  ::_exit(127);
}

/// Starts the program in a process group of its own, without input, its output at the end of `log`. It gets SIGTERM
/// when the calling thread ends. Throws Error if it cannot be started.
pid_t start(const Program& program, const std::filesystem::path& log, const cpu_set_t* cores) {
  const auto failed = [](const std::string& what, int reason) {
    return xp::Error(what + ": " + std::strerror(reason), xp::Exit::failed);
  };
  const Descriptor out(::open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (out.number() < 0) throw failed("cannot write " + xp::backquoted(log.string()), errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw failed("cannot make a pipe", errno);
  Descriptor from(ends[0]), to(ends[1]);
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // handlers of ours must not run in the child
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) be_worker(program, out.number(), cores, parent, to.number());
  const int why = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) throw failed("cannot start a process", why);
  to.close();
  int reason = 0;
  ssize_t got = 0;
  while ((got = ::read(from.number(), &reason, sizeof reason)) < 0 && errno == EINTR) {
  }
  if (got <= 0) return child;  // exec closed the pipe
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  throw failed("cannot run " + xp::backquoted(program.name()), reason);
}

/// One copy of the command.
struct Copy {
  std::string name;  ///< "worker 1"
  std::filesystem::path log;
  std::uintmax_t written = 0;  ///< what the log held before
  cpu_set_t cores{};
  pid_t process = 0;  ///< 0: not running
  Clock::time_point since{};
  int short_lives = 0;
  std::string failure = {};  ///< why it will not be started again
};

std::string last_line(const Copy& copy) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(copy.log, ignored);
  if (ignored || size <= copy.written) return {};
  const auto begin = std::max(copy.written, size - std::min(size, kLastLine));
  std::ifstream in(copy.log, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(begin));
  std::string text(size - begin, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  const auto end = xp::trim(text);
  return std::string(end.substr(end.rfind('\n') + 1));
}

/// The copies, from their start to the end of the last one. Nothing is left of them afterwards.
class Crew {
 public:
  Crew(const xp::LaunchRequest& request, std::int64_t workers, std::int64_t cores)
      : program_(request.command, cores), pinned_(cores > 0) {
    const auto mine = pinned_ ? own_cores() : std::vector<int>{};
    if (pinned_ && static_cast<std::size_t>(workers * cores) > mine.size())
      xp::log::warn(xp::count(static_cast<std::size_t>(workers), "worker") + " with " +
                    xp::count(static_cast<std::size_t>(cores), "core") + " each must do with the " +
                    std::to_string(mine.size()) + " that there are");
    std::size_t next = 0;
    for (std::int64_t i = 1; i <= workers; ++i) {
      Copy copy{.name = "worker " + std::to_string(i),
                .log = request.logs / ("worker-" + std::to_string(i) + ".log")};
      std::error_code absent;
      if (const auto size = std::filesystem::file_size(copy.log, absent); !absent) copy.written = size;
      CPU_ZERO(&copy.cores);
      for (std::int64_t k = 0; pinned_ && k < cores; ++k) CPU_SET(mine[next++ % mine.size()], &copy.cores);
      copies_.push_back(std::move(copy));
    }
  }
  ~Crew() { kill(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void start_all() {
    for (auto& copy : copies_) start_one(copy);
  }

  bool working() const {
    return std::any_of(copies_.begin(), copies_.end(), [](const Copy& one) { return one.process != 0; });
  }

  /// Takes note of what has ended; `again`: copies that were broken off are started again.
  void look(bool again) {
    for (auto& copy : copies_) {
      siginfo_t info{};
      if (copy.process == 0 || ::waitid(P_PID, static_cast<id_t>(copy.process), &info, WEXITED | WNOHANG | WNOWAIT) ||
          info.si_pid == 0)
        continue;
      const int status = reap(copy);
      if (again && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) go_on(copy, status);
    }
  }

  void ask_to_end() {
    for (const auto& copy : copies_)
      if (copy.process != 0) ::kill(copy.process, SIGTERM);
  }

  void kill() {
    for (auto& copy : copies_)
      if (copy.process != 0) reap(copy);
  }

  /// Throws Error if every copy failed.
  void judge() const {
    if (std::any_of(copies_.begin(), copies_.end(), [](const Copy& one) { return one.failure.empty(); })) return;
    const auto& first = copies_.front();
    const auto line = last_line(first);
    throw xp::Error(
        (copies_.size() == 1 ? "the worker failed" : "all " + std::to_string(copies_.size()) + " workers failed") +
            "; " + first.name + " " + first.failure + ", its log " + xp::backquoted(first.log.string()) +
            (line.empty() ? " has nothing to say" : " ends with: " + xp::printable(line)),
        xp::Exit::failed);
  }

 private:
  void start_one(Copy& copy) {
    try {
      copy.process = start(program_, copy.log, pinned_ ? &copy.cores : nullptr);
      copy.since = Clock::now();
    } catch (const xp::Error& error) {
      fail(copy, std::string("was not started (") + error.what() + ")");
    }
  }

  /// The group's number stays taken until the copy itself is waited for, so whatever it left behind can be killed.
  static int reap(Copy& copy) {
    ::kill(-copy.process, SIGKILL);
    int status = 0;
    while (::waitpid(copy.process, &status, 0) < 0 && errno == EINTR) {
    }
    copy.process = 0;
    return status;
  }

  /// A copy ended otherwise than with 0.
  void go_on(Copy& copy, int status) {
    const auto how = WIFSIGNALED(status) ? "ended by " + xp::signal_name(WTERMSIG(status))
                                         : "ended with exit code " + std::to_string(WEXITSTATUS(status));
    const bool broken_off = WIFSIGNALED(status) || WEXITSTATUS(status) == static_cast<int>(xp::Exit::stopped);
    if (!broken_off) return fail(copy, how);
    copy.short_lives = Clock::now() - copy.since < kShortLife ? copy.short_lives + 1 : 0;
    if (copy.short_lives == kShortLives)
      return fail(copy, how + " at once, " + std::to_string(kShortLives) + " times in a row");
    xp::log::info(copy.name + " " + how + " and is started again");
    start_one(copy);
  }

  static void fail(Copy& copy, std::string why) {
    copy.failure = std::move(why);
    xp::log::warn(copy.name + " " + copy.failure + "; its log is " + copy.log.string());
  }

  const Program program_;
  const bool pinned_;
  std::vector<Copy> copies_;
};

/// Copies on this machine, each on cores of its own. They end with this process, or rather with the thread that
/// launched them.
class Local final : public xp::Launcher {
 public:
  struct Params {
    std::optional<std::int64_t> workers;
    std::int64_t cores = 1, grace_seconds = 60;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::workers, "workers", "Copies; by default as many as the cores at hand suffice for.")
          .min(1)
          .max(4096)
          .no_result();
      f.add(&Params::cores, "cores",
            "Cores of each copy, its own ones while they last; 0: all of them for every copy.")
          .min(0)
          .max(CPU_SETSIZE)
          .no_result();
      f.add(&Params::grace_seconds, "grace_seconds", "Time to leave a checkpoint between SIGTERM and SIGKILL.")
          .min(0)
          .no_result();
    }
  };
  explicit Local(Params params) : p_(params) {}

  std::int64_t workers() const override {
    if (p_.workers) return *p_.workers;
    return p_.cores == 0 ? 1 : std::max<std::int64_t>(1, static_cast<std::int64_t>(own_cores().size()) / p_.cores);
  }

  void launch(const xp::LaunchRequest& request, const std::atomic<bool>& stop) override {
    Crew crew(request, workers(), p_.cores);
    if (!stop) crew.start_all();
    while (crew.working() && !stop) std::this_thread::sleep_for(kPause), crew.look(!stop);
    if (!stop) return crew.judge();
    crew.ask_to_end();
    const auto end = Clock::now() + std::chrono::seconds(p_.grace_seconds);
    while (crew.working() && Clock::now() < end) std::this_thread::sleep_for(kPause), crew.look(false);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(local) { registry.add<Local>("local", "Workers on this machine, each on cores of its own."); }
