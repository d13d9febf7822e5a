#pragma once
// Who works at a sweep: one file for each worker, renewed as long as it lives.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/process.h"

namespace xp::sweep {

/// A worker's own file, for the life of the object.
class XP_API WorkerFile {
 public:
  /// Makes `folder` if need be. Throws Error.
  explicit WorkerFile(const std::filesystem::path& folder);
  ~WorkerFile();
  const std::string& id() const { return id_; }
  /// False if another machine takes this worker for dead, since it did not renew its file for a minute.
  bool held() const { return heartbeat_->held(); }
  /// The file to which a crashing worker's last word goes.
  std::filesystem::path crash_note() const;

 private:
  std::filesystem::path file_;
  std::string id_;
  std::unique_ptr<detail::Heartbeat> heartbeat_;
};

struct WorkerLook {
  std::string id = {}, host = {};
  std::int64_t pid = 0;
  bool alive = false;
  std::string crash = {};  ///< of a dead one: the signal that ended it, where it could tell
};

/// The worker with this id; one whose file is gone counts as dead.
XP_API WorkerLook look_at_worker(const std::filesystem::path& folder, const std::string& id);
/// All that have a file, sorted.
XP_API std::vector<WorkerLook> workers_in(const std::filesystem::path& folder);
/// Removes what a dead worker left.
XP_API void forget_worker(const std::filesystem::path& folder, const std::string& id);

}  // namespace xp::sweep
