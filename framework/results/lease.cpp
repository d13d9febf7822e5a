// Leases: results/cache/.leases/<digest>.lease says which process makes a digest.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/late_sync.h"
#include "results/process.h"
#include "results/stored_json.h"

namespace xp {

Lease::~Lease() = default;

namespace detail {
namespace {

namespace fs = std::filesystem;

Error cannot(std::string_view what, const fs::path& path, int reason) {
  return Error("cannot " + std::string(what) + " " + backquoted(path.string()) + ": " + std::strerror(reason));
}

struct Holder {
  std::string text;  ///< the whole lease: two leases never have the same
  ProcessIdentity who;
  std::string since;
  fs::file_time_type renewed;
  bool known = false;  ///< false: its writer was killed while it wrote, or somebody else's file
};

// The lease that stands there; nothing if there is none.
std::optional<Holder> read_lease(const fs::path& file) {
  std::error_code failed;
  Holder holder;
  holder.renewed = fs::last_write_time(file, failed);
  if (failed == std::errc::no_such_file_or_directory) return std::nullopt;
  try {
    holder.text = read_file(file, 1 << 16);
    const auto json = stored_object(holder.text, file.string());
    holder.who = process_of(json, file.string());
    holder.since = Stored(json, file.string()).text("since");
    holder.known = true;
  } catch (const Error& error) {
    if (!fs::exists(file, failed)) return std::nullopt;
    log::debug(error.what());
  }
  return holder;
}

class HeldLease final : public Lease {
 public:
  HeldLease(fs::path cache, std::string digest, fs::path file)
      : cache_(std::move(cache)),
        digest_(std::move(digest)),
        file_(std::move(file)),
        work_(cache_ / kWork / digest_),
        owner_(::getpid()),
        heartbeat_(std::make_unique<Heartbeat>(file_)) {
    make_folders(work_);
  }

  ~HeldLease() override {
    if (owner_ != ::getpid()) {  // a forked child has no heartbeat thread to join and no lease to give back
      static_cast<void>(heartbeat_.release());
      return;
    }
    try {
      release();
    } catch (const Error& error) {
      log::warn(error.what());
    }
  }

  const fs::path& work() const override { return work_; }
  bool held() const override { return heartbeat_ && heartbeat_->held(); }

  CacheEntry commit(const CacheEntry& about) override {
    const auto target = cache_ / digest_;
    const Cache cache(cache_.parent_path());
    if (!held()) {
      if (auto winner = cache.find(digest_)) return *winner;
      throw Error("the lease of " + backquoted(digest_) +
                  " was taken over by another machine because it was not renewed for a minute");
    }
    auto entry = write_manifest(work_, digest_, about);
    entry.folder = target;
    if (rename_into(target)) return committed(std::move(entry));
    if (auto winner = cache.find(digest_)) {
      std::error_code failed;
      fs::remove_all(work_, failed);
      if (failed) throw cannot("remove", work_, failed.value());
      release();
      return *winner;
    }
    // What stood in the way was damaged and has been moved aside.
    if (!rename_into(target)) throw cannot("write", target, EEXIST);
    return committed(std::move(entry));
  }

 private:
  CacheEntry committed(CacheEntry entry) {
    remove_scratch(entry.folder);
    LateSync(cache_).soon();
    release();
    return entry;
  }

  bool rename_into(const fs::path& target) {
    const CacheLock lock(cache_);
    if (::rename(work_.c_str(), target.c_str()) == 0) return true;
    if (errno != EEXIST && errno != ENOTEMPTY) throw cannot("write", target, errno);
    return false;
  }

  void release() {
    if (!heartbeat_) return;
    if (!fs::exists(file_)) return give_back_later(std::move(heartbeat_), file_);
    const CacheLock lock(cache_);
    const bool mine = heartbeat_->held();
    heartbeat_.reset();
    if (mine && ::unlink(file_.c_str()) != 0 && errno != ENOENT) throw cannot("remove", file_, errno);
  }

  // Network folders go away for a while, and a lease that comes back with them would stand as long as this process.
  static void give_back_later(std::unique_ptr<Heartbeat> heartbeat, fs::path file) {
    std::thread([heartbeat = std::move(heartbeat), file = std::move(file)] {
      constexpr int kMostSeconds = 600;
      std::error_code none;
      for (int i = 0; i < kMostSeconds && !fs::exists(file, none); ++i)
        std::this_thread::sleep_for(std::chrono::seconds(1));
      if (heartbeat->held()) ::unlink(file.c_str());
    }).detach();
  }

  fs::path cache_;
  std::string digest_;
  fs::path file_;
  fs::path work_;
  pid_t owner_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

// Removes a lease whose holder is dead. The rename takes exactly one file, and only one process gets it; if that is
// not the file that was judged, it is put back.
void take_away(const fs::path& lease, const Holder& judged) {
  const auto aside =
      lease.parent_path() / ("." + lease.filename().string() + "." + std::to_string(::getpid()) + ".old");
  if (::rename(lease.c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw cannot("take over", lease, errno);
  }
  const auto taken = read_lease(aside);
  if (taken && taken->text != judged.text && ::link(aside.c_str(), lease.c_str()) != 0 && errno != EEXIST)
    throw cannot("put back", lease, errno);
  ::unlink(aside.c_str());
}

// Makes the lease with its content in one moment; false if one stands there.
bool put_lease(const fs::path& draft, const fs::path& lease, const std::string& text) {
  if (::link(draft.c_str(), lease.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
    throw cannot("write", lease, errno);
  // No hard links here. A kill between the next two steps leaves an unknown holder, which ends by time.
  std::FILE* file = std::fopen(lease.c_str(), "wx");
  if (!file) {
    if (errno == EEXIST) return false;
    throw cannot("write", lease, errno);
  }
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !whole) throw cannot("write", lease, errno);
  return true;
}

}  // namespace

void write_plainly(const fs::path& file, std::string_view bytes) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  int reason = out < 0 ? errno : write_bytes(out, bytes);
  if (out >= 0 && ::close(out) != 0 && reason == 0) reason = errno;
  if (reason != 0) throw cannot("write", file, reason);
}

void make_folders(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw Error("cannot make folder " + backquoted(folder.string()) + ": " + failed.message());
}

void make_lasting_folders(const fs::path& folder) {
  std::error_code none;
  if (folder.empty() || fs::exists(folder, none)) return;
  make_lasting_folders(folder.parent_path());
  make_folders(folder);
  sync_path(folder.has_parent_path() ? folder.parent_path() : fs::path("."));
}

std::unique_ptr<Lease> claim(const Cache& cache, const std::string& digest, std::string* holder) {
  make_lasting_folders(cache.folder());
  const auto folder = cache.folder() / kLeases;
  make_folders(folder);
  const auto lease = folder / (digest + ".lease");
  const CacheLock lock(cache.folder());
  // The draft's name is new, and its time is the file system's clock.
  const auto scratch = make_scratch(folder, ".claim.");
  const auto draft = scratch / "lease";
  const auto end = [&] {
    std::error_code ignored;  // an empty folder more does no harm
    fs::remove_all(scratch, ignored);
  };
  try {
    auto about = to_table(this_process());
    about["since"] = utc_now();
    about["token"] = scratch.filename().string();
    const auto text = to_json(about) + "\n";
    write_plainly(draft, text);  // a lease is of a process, and none outlives a power cut
    std::error_code failed;
    const auto now = fs::last_write_time(draft, failed);
    if (failed) throw cannot("read", draft, failed.value());
    for (;;) {
      if (put_lease(draft, lease, text)) {
        std::unique_ptr<Lease> held;
        try {
          held = std::make_unique<HeldLease>(cache.folder(), digest, lease);
        } catch (...) {
          ::unlink(lease.c_str());
          throw;
        }
        end();
        return held;
      }
      const auto other = read_lease(lease);
      if (!other) continue;
      if (other->known ? lives(other->who, other->renewed, now)
                       : std::chrono::duration<double>(now - other->renewed).count() < kAbandonedSeconds) {
        if (holder)
          *holder = other->known ? other->who.host + " " + std::to_string(other->who.pid) + ", since " + other->since
                                 : "an unknown process (" + lease.string() + " is unfinished)";
        end();
        return nullptr;
      }
      if (other->known)
        log::info("taking over " + backquoted(digest) + " from " + other->who.host + " " +
                  std::to_string(other->who.pid) + ", which ended without finishing it");
      take_away(lease, *other);
    }
  } catch (...) {
    end();
    throw;
  }
}

}  // namespace detail
}  // namespace xp
