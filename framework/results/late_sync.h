#pragma once
// Syncs that nobody waits for: what was written is on the disk within a second, by one thread for the whole process.
#include <filesystem>
#include <memory>

namespace xp::detail {

/// One file or folder. A sync costs some milliseconds on many disks, a record or a decision some microseconds.
class LateSync {
 public:
  /// Opens the path, which exists; throws Error if it cannot.
  explicit LateSync(const std::filesystem::path& path);
  ~LateSync();  ///< what was asked for is still done
  LateSync(LateSync&&) noexcept;
  LateSync& operator=(LateSync&&) noexcept;

  void soon();         ///< within a second of the first soon() since the last sync; returns at once
  void now();          ///< returns when all written so far is on the disk; throws Error
  void check() const;  ///< throws Error if a sync failed: what was written may be lost

 private:
  struct Item;
  class Thread;
  std::shared_ptr<Item> item_;
};

}  // namespace xp::detail
