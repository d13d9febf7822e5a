#include "results/process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "results/stored_json.h"

namespace xp::detail {
namespace {

namespace fs = std::filesystem;

constexpr auto kRenew = std::chrono::seconds(5);

// Start time of a process that runs; 0: there is none, or it is a zombie; -1: the system does not say.
std::int64_t start_of(std::int64_t pid) {
  std::string text;
  try {
    text = read_file("/proc/" + std::to_string(pid) + "/stat", 1 << 16);
  } catch (const Error&) {
    return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM ? -1 : 0;
  }
  // Fields are counted from behind the program's name, which may hold anything, brackets too.
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return -1;
  const auto fields = split(trim(std::string_view(text).substr(name_end + 1)), ' ');
  if (fields.size() < 20) return -1;
  // A killed process is a zombie as soon as its first thread has ended; the others may still be writing.
  const bool last_thread = fields[17] == "1" || fields[17] == "0";
  if ((fields[0] == "Z" || fields[0] == "X") && last_thread) return 0;
  std::int64_t start = -1;
  std::from_chars(fields[19].data(), fields[19].data() + fields[19].size(), start);
  return start;
}

std::string machine() {
  std::string boot;
  try {
    boot = trim(read_file("/proc/sys/kernel/random/boot_id", 256));
  } catch (const Error& error) {  // then only the host tells machines apart, and leases end by time
    log::debug(error.what());
  }
  std::error_code failed;
  const auto space = fs::read_symlink("/proc/self/ns/pid", failed);
  return boot + " " + (failed ? std::string() : space.string());
}

}  // namespace

ProcessIdentity this_process() {
  static std::mutex mutex;
  static ProcessIdentity known;
  const std::lock_guard lock(mutex);
  if (known.pid == ::getpid()) return known;  // not so in a forked child
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) std::strcpy(host.data(), "unknown");
  return known = {host.data(), machine(), ::getpid(), start_of(::getpid())};
}

bool lives(const ProcessIdentity& who, fs::file_time_type renewed, fs::file_time_type now) {
  const auto here = this_process();
  if (who.machine == here.machine && who.host == here.host) {
    const auto start = who.pid > 0 ? start_of(who.pid) : 0;
    return start == -1 || (start != 0 && start == who.start);
  }
  return std::chrono::duration<double>(now - renewed).count() < kAbandonedSeconds;
}

Table to_table(const ProcessIdentity& who) {
  return {{"host", who.host}, {"machine", who.machine}, {"pid", who.pid}, {"start", who.start}};
}

ProcessIdentity process_of(const Table& table, const std::string& where) {
  const Stored stored(table, where);
  return {stored.text("host"), stored.text("machine"), stored.integer("pid"), stored.integer("start")};
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

struct Heartbeat::Impl {
  fs::path file;
  int descriptor = -1;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread thread;

  bool held() const {
    struct stat mine {
    }, there{};
    return ::fstat(descriptor, &mine) == 0 && ::stat(file.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
  }

  void beat() {
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, kRenew, [this] { return stop; }))
      if (held() && ::futimens(descriptor, nullptr) != 0)
        log::warn("cannot renew " + backquoted(file.string()) + ": " + std::strerror(errno));
  }
};

Heartbeat::Heartbeat(const fs::path& file) : impl_(std::make_unique<Impl>()) {
  impl_->file = file;
  impl_->descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (impl_->descriptor < 0) throw Error("cannot renew " + backquoted(file.string()) + ": " + std::strerror(errno));
  impl_->thread = std::thread([impl = impl_.get()] { impl->beat(); });
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
  ::close(impl_->descriptor);
}

bool Heartbeat::held() const { return impl_->held(); }

}  // namespace xp::detail
