#pragma once
// A file under its temporary name, for writers that put several files in place together.
#include <cstddef>
#include <filesystem>

#include "base/export.h"

namespace xp {

/// Appends to TARGET.partial, which goes with the object unless it was published. Errors are Error with the path.
class XP_API PendingFile {
 public:
  explicit PendingFile(std::filesystem::path target);
  ~PendingFile();
  PendingFile(PendingFile&& other) noexcept;

  /// Pages of mapped files that were written are given back, so that copying a file costs no memory.
  void write(const void* data, std::size_t size);
  void sync();     ///< to the disk; nothing can be written any more
  void publish();  ///< renames to the target; needs sync() first. The folder is not synced.

 private:
  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
  bool there_ = false;
};

}  // namespace xp
