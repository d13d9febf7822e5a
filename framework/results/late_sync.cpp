#include "results/late_sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace xp::detail {
namespace {

constexpr auto kDelay = std::chrono::milliseconds(500);

}  // namespace

struct LateSync::Item {
  std::filesystem::path path;
  int descriptor = -1;
  bool folder = false;
  std::atomic<bool> asked{false};
  mutable std::mutex mutex;
  std::string failure;  ///< of the first sync that failed

  ~Item() {
    if (descriptor >= 0) ::close(descriptor);
  }

  /// Device and number of what is to be synced; nothing for a file that has no name any more.
  std::optional<std::pair<dev_t, ino_t>> place() const {
    struct stat s {};
    if (::fstat(descriptor, &s) == 0 && !folder && s.st_nlink == 0) return std::nullopt;
    return std::pair(s.st_dev, s.st_ino);
  }

  /// What went wrong; empty: nothing. `asked` must be false before: what is written during the sync asks anew.
  std::string sync() const {
    const auto sync = folder ? ::fsync : ::fdatasync;  // new names change no size, which is all fdatasync may look at
    int done = sync(descriptor);
    while (done != 0 && errno == EINTR) done = sync(descriptor);
    // Some network file systems have no sync for folders and say so with EINVAL.
    if (done == 0 || (folder && errno == EINVAL)) return {};
    return "cannot sync " + backquoted(path.string()) + ": " + std::strerror(errno);
  }

  void take(const std::string& why) {
    const std::lock_guard lock(mutex);
    if (failure.empty()) failure = why;
  }
};

/// Lives from the first soon() to the end of the process, which it holds up until all is on the disk.
class LateSync::Thread {
 public:
  static Thread& only() {
    static Thread thread;
    return thread;
  }

  void add(std::shared_ptr<Item> item) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(item));
    }
    wake_.notify_one();
  }

 private:
  Thread() : thread_([this] { work(); }) {}
  ~Thread() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      wake_.wait_for(lock, kDelay, [this] { return stop_; });
      auto now = std::exchange(waiting_, {});
      lock.unlock();
      sync_all(std::exchange(now, {}));
      lock.lock();
    }
  }

  // A folder is asked for by each file that gets a name in it, and is synced once.
  static void sync_all(std::vector<std::shared_ptr<Item>> items) {
    std::map<std::pair<dev_t, ino_t>, std::vector<std::shared_ptr<Item>>> places;
    for (auto& item : items) {
      if (!item->asked.exchange(false)) continue;  // somebody could not wait
      if (const auto place = item->place()) places[*place].push_back(std::move(item));
    }
    items.clear();
    for (const auto& [place, same] : places) {
      const auto why = same.front()->sync();
      if (why.empty()) continue;
      for (const auto& item : same) item->take(why);
      if (same.front().use_count() == 1) log::error(why);  // nobody else will say it
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Item>> waiting_;
  bool stop_ = false;
  std::thread thread_;
};

LateSync::LateSync(const std::filesystem::path& path) : item_(std::make_shared<Item>()) {
  item_->path = path;
  item_->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (item_->descriptor < 0) throw Error("cannot sync " + backquoted(path.string()) + ": " + std::strerror(errno));
  std::error_code none;
  item_->folder = std::filesystem::is_directory(path, none);
}

LateSync::~LateSync() = default;
LateSync::LateSync(LateSync&&) noexcept = default;
LateSync& LateSync::operator=(LateSync&&) noexcept = default;

void LateSync::soon() {
  if (!item_->asked.exchange(true)) Thread::only().add(item_);
}

void LateSync::now() {
  item_->asked = false;
  if (const auto why = item_->sync(); !why.empty()) item_->take(why);
  check();
}

void LateSync::check() const {
  const std::lock_guard lock(item_->mutex);
  if (!item_->failure.empty()) throw Error(item_->failure);
}

}  // namespace xp::detail
