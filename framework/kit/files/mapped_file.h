#pragma once
// A file in memory without being read: pages come when they are touched and are shared with the system's cache.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/export.h"

namespace xp {

/// What may be done with a map's pages. Those that are written to become this process's own; the file never changes.
enum class Pages { read_only, copy_on_write };

/// A map of a whole regular file. What it gives is valid as long as the object, moved or not.
/// A file that shrinks while it is mapped ends the process (SIGBUS): files are replaced by rename, never cut.
class XP_API MappedFile {
 public:
  /// Throws Error (Exit::data) naming the path if it cannot be opened or is no regular file. An empty file is none.
  explicit MappedFile(std::filesystem::path file, Pages pages = Pages::read_only);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {start_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(start_), size_}; }
  std::size_t size() const { return size_; }
  const std::filesystem::path& path() const { return file_; }

 private:
  std::filesystem::path file_;
  const std::byte* start_ = nullptr;
  std::size_t size_ = 0;
};

/// Gives back the pages that lie whole within these bytes of a map; they come again when they are touched. Bytes that
/// no read-only MappedFile holds are left alone, so that a writer may say so of whatever it has written.
XP_API void drop_mapped_pages(const void* data, std::size_t size);

}  // namespace xp
