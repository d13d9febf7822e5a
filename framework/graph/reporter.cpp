#include "graph/reporter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.h"

namespace xp {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kInterval = std::chrono::seconds(15);
constexpr auto kFrame = std::chrono::milliseconds(200);

std::string percent(double share) { return std::to_string(static_cast<int>(share * 100)) + " %"; }

std::size_t terminal_width() {
  struct winsize size {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

}  // namespace

Reporter::Reporter(std::size_t to_run, bool quiet)
    : to_run_(to_run), quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}
Reporter::~Reporter() { clear(); }

void Reporter::started(const std::string& node, const std::string& label) {
  const std::lock_guard lock(guard_);
  const auto now = Clock::now();
  active_[node] = {label, {}, 0, 0, now, now};
  draw();
}

void Reporter::goes_on(const std::string& node, double share, const std::string& from) {
  std::string label;
  {
    const std::lock_guard lock(guard_);
    const auto found = active_.find(node);
    if (found == active_.end()) return;
    found->second.share = found->second.begin = share, found->second.since = Clock::now();
    label = found->second.label;
  }
  say("  " + label + ": goes on from " + from + " (" + percent(share) + ")");
}

void Reporter::progress(const std::string& node, double share, const std::string& what) {
  const std::lock_guard lock(guard_);
  const auto found = active_.find(node);
  if (found == active_.end()) return;
  auto& one = found->second;
  one.share = share, one.what = what;
  const auto now = Clock::now();
  if (terminal_) {
    if (now - redrawn_ > kFrame) draw();
  } else if (now - one.spoke > kInterval && !quiet_) {
    one.spoke = now;
    const double seconds = std::chrono::duration<double>(now - one.since).count();
    const double done = share - one.begin;
    const auto left = done > 0.01 ? ", " + duration_text(seconds / done * (1 - share)) + " left" : "";
    std::fprintf(stderr, "  %s: %s, %s%s\n", one.label.c_str(), percent(share).c_str(), what.c_str(), left.c_str());
  }
}

void Reporter::finished(const std::string& node, const std::string& outcome, double seconds) {
  const std::lock_guard lock(guard_);
  const auto found = active_.find(node);
  if (found == active_.end()) return;
  clear();
  ++done_;
  if (!quiet_)
    std::fprintf(stderr, "[%zu/%zu] %s: %s in %s\n", done_, to_run_, found->second.label.c_str(), outcome.c_str(),
                 duration_text(seconds).c_str());
  active_.erase(found);
  draw();
}

void Reporter::say(const std::string& line) {
  const std::lock_guard lock(guard_);
  clear();
  if (!quiet_) std::fprintf(stderr, "%s\n", line.c_str());
  draw();
}

void Reporter::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

void Reporter::draw() {
  if (!terminal_ || quiet_ || active_.empty()) return;
  std::string line;
  for (const auto& [node, one] : active_)
    line += (line.empty() ? "" : " | ") + one.label + " " + percent(one.share) + " " + one.what;
  line = "[" + std::to_string(done_) + "/" + std::to_string(to_run_) + "] " + line;
  std::fprintf(stderr, "\r\x1b[K%s", utf8_slice(line, 0, terminal_width() - 1).c_str());
  std::fflush(stderr);
  drawn_ = true, redrawn_ = Clock::now();
}

}  // namespace xp
