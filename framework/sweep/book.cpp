#include "sweep/book.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "results/journal.h"
#include "results/late_sync.h"

namespace xp::sweep {
namespace {

constexpr std::uint8_t kDecision = 1;

// A descriptor that is closed whatever happens.
struct Descriptor {
  int number;
  explicit Descriptor(int opened) : number(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

Book::Book(const std::filesystem::path& folder) : file_(folder / "decisions.journal"), lock_(folder / ".lock") {}

std::unique_ptr<FileLock> Book::lock() const { return std::make_unique<FileLock>(lock_); }

std::vector<Event> Book::news() {
  std::vector<Event> out;
  std::error_code failed;
  const auto size = std::filesystem::file_size(file_, failed);
  if (failed == std::errc::no_such_file_or_directory && good_ == 0) return out;
  if (failed) throw Error("cannot read " + backquoted(file_.string()) + ": " + failed.message(), Exit::data);
  if (size == good_) return out;
  good_ = read_journal(
      file_,
      [&](std::uint8_t kind, std::string_view payload) {
        if (kind != kDecision) throw Error(backquoted(file_.string()) + " is no journal of a sweep", Exit::data);
        out.push_back(event_from(payload, file_.string()));
      },
      good_);
  return out;
}

void Book::append(const std::vector<Event>& events) {
  const auto cannot = [&](int reason) {
    return Error("cannot write " + backquoted(file_.string()) + ": " + std::strerror(reason));
  };
  if (disk_) disk_->check();
  const Descriptor out(::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  struct stat state {};
  if (out.number < 0 || ::fstat(out.number, &state) != 0) throw cannot(errno);
  // What follows the last whole record was written by a process that died at it.
  if (static_cast<std::uint64_t>(state.st_size) > good_ && ::ftruncate(out.number, static_cast<off_t>(good_)) != 0)
    throw cannot(errno);
  std::string bytes = good_ == 0 ? journal_header() : std::string();
  for (const auto& event : events) bytes += journal_frame(kDecision, to_json(event));
  if (const int reason = write_bytes(out.number, bytes); reason != 0) {
    if (::ftruncate(out.number, static_cast<off_t>(good_)) != 0) throw cannot(errno);
    throw cannot(reason);
  }
  good_ += bytes.size();
  if (!disk_) {
    disk_ = std::make_shared<detail::LateSync>(file_);
    detail::LateSync(file_.parent_path()).soon();
  }
  disk_->soon();
}

}  // namespace xp::sweep
