#pragma once
// The journal of a sweep's decisions: everybody may read it, and who holds its lock may append.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/file.h"
#include "results/late_sync.h"
#include "sweep/event.h"

namespace xp::sweep {

class XP_API Book {
 public:
  explicit Book(const std::filesystem::path& folder);

  /// Waits until no other worker holds it.
  std::unique_ptr<FileLock> lock() const;
  /// What was appended since the last call. Throws Error (Exit::data) if the journal is damaged.
  std::vector<Event> news();
  /// Call with the lock held and all news read. Handed to the system at once, whole or not at all; on the disk within
  /// a second: a trial whose end is lost is run again, and its stages are in the cache.
  void append(const std::vector<Event>& events);
  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_, lock_;
  std::uint64_t good_ = 0;  ///< bytes that were read
  std::shared_ptr<detail::LateSync> disk_;
};

}  // namespace xp::sweep
