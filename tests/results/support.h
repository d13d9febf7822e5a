#pragma once
// Scratch folders, children that are killed, and records to write and compare.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"
#include "results/journal.h"
#include "results/run_log.h"

namespace xp::test {

namespace fs = std::filesystem;

/// A folder of one test's own, gone when it ends.
class Scratch {
 public:
  Scratch() : path_(make_scratch(fs::temp_directory_path(), "xp-results-")) {}
  ~Scratch() {
    if (owner_ != ::getpid()) return;
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
  pid_t owner_ = ::getpid();
};

/// Runs `work` in a child, which ends with 0, or with 9 and a text on stderr if something was thrown.
inline pid_t start_child(const std::function<void()>& work) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 0;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
    code = 9;
  }
  std::fflush(nullptr);
  ::_exit(code);
}

/// Exit code of a child, or 1000 and its signal.
inline int end_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

inline int kill_child(pid_t child) {
  ::kill(child, SIGKILL);
  return end_of(child);
}

/// One byte through a pipe: the child says that it has come to a point.
class Signal {
 public:
  Signal() {
    if (::pipe(ends_) != 0) throw std::runtime_error("no pipe");
  }
  ~Signal() { ::close(ends_[0]), ::close(ends_[1]); }
  void raise(char what = 'x') {
    if (::write(ends_[1], &what, 1) != 1) throw std::runtime_error("the pipe is closed");
  }
  char wait() {
    char what = 0;
    if (::read(ends_[0], &what, 1) != 1) throw std::runtime_error("the pipe is closed");
    return what;
  }

 private:
  int ends_[2];
};

inline Counters counters_at(std::int64_t step) {
  Counters c;
  c.steps = step;
  c.input_tokens = step * 512;
  c.supervised_tokens = step * 77;
  c.items = step * 4;
  c.bytes = step * 2048 + 1;
  c.epochs = static_cast<double>(step) / 7;
  c.flops = 1e15 * static_cast<double>(step);
  c.flops_effective = 0.9e15 * static_cast<double>(step);
  c.seconds = 0.25 * static_cast<double>(step);
  c.memory = 1e9 + static_cast<double>(step);
  return c;
}

inline bool same(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

inline bool same(const Counters& a, const Counters& b) {
  return a.steps == b.steps && a.input_tokens == b.input_tokens && a.supervised_tokens == b.supervised_tokens &&
         a.items == b.items && a.bytes == b.bytes && same(a.epochs, b.epochs) && same(a.flops, b.flops) &&
         same(a.flops_effective, b.flops_effective) && same(a.seconds, b.seconds) && same(a.memory, b.memory);
}

/// Says where two records differ first; empty if they are equal bit by bit.
std::string difference(const StageRecord& a, const StageRecord& b);

/// Every kind of entry, awkward names and values among them.
void record_everything(JournalRecorder& to, std::int64_t points = 5);

/// {arm, seed, {node: digest}} for plan_of.
struct PlannedMember {
  std::string arm;
  std::int64_t seed;
  std::map<std::string, std::string> stages;
};
Value plan_of(const std::vector<PlannedMember>& members);

/// A digest of 64 digits from a short text.
std::string digest_of(const std::string& text);

/// Makes a cache entry whose record is record_everything and whose output is one file.
void make_entry(Cache& cache, const std::string& digest, std::int64_t points = 5);

}  // namespace xp::test
