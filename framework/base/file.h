#pragma once
// Files: whole reads with limits, writes that are there completely or not at all.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// The whole file; throws Error (Exit::data) naming the path if it cannot be read or is larger than `limit` bytes.
XP_API std::string read_file(const std::filesystem::path& file, std::uint64_t limit = std::uint64_t{1} << 36);
/// As read_file, decompressed by the ending `.zst` or `.gz`; `limit` counts decompressed bytes.
XP_API std::string read_text_file(const std::filesystem::path& file, std::uint64_t limit = std::uint64_t{1} << 36);

/// Writes beside the target, syncs, renames, syncs the folder. An existing file is replaced in one moment.
XP_API void write_file(const std::filesystem::path& file, std::string_view bytes);
/// Writes all bytes where the descriptor stands; 0, or the errno of what went wrong.
XP_API int write_bytes(int descriptor, std::string_view bytes);
/// Flushes a file or a folder to the disk; throws Error on failure.
XP_API void sync_path(const std::filesystem::path& path);
/// A new empty folder beside others of its kind, named `prefix` and a random part; removed by the caller.
XP_API std::filesystem::path make_scratch(const std::filesystem::path& parent, std::string_view prefix);

/// Files that fit a pattern relative to `root`, sorted. `*` never crosses a `/`; a part `**` is any folders, none
/// included, but for links to folders. Empty if none fits.
XP_API std::vector<std::filesystem::path> glob(const std::filesystem::path& root, std::string_view pattern);

/// Where programs keep what can be made again: $XDG_CACHE_HOME/xp or ~/.cache/xp.
XP_API std::filesystem::path user_cache();

/// An exclusive lock on a file that ends with the object or the process.
class XP_API FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file);  ///< waits
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace xp
