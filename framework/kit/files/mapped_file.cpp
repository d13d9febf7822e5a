#include "kit/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "base/error.h"

namespace xp {
namespace {

/// Read-only maps by their first byte. A page of anything else must never be dropped: it would be lost.
struct LiveMaps {
  std::mutex mutex;
  std::map<const std::byte*, std::size_t> sizes;
};

LiveMaps& live() {
  static LiveMaps maps;
  return maps;
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path file, Pages pages) : file_(std::move(file)) {
  // Without O_NONBLOCK a pipe of that name would wait for a writer.
  const int descriptor = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw Error("cannot open " + file_.string() + ": " + std::strerror(errno), Exit::data);
  struct stat about {};
  const bool regular = ::fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode);
  int problem = 0;
  if (regular && about.st_size > 0) {
    const auto size = static_cast<std::size_t>(about.st_size);
    const bool own = pages == Pages::copy_on_write;
    void* start = ::mmap(nullptr, size, own ? PROT_READ | PROT_WRITE : PROT_READ,
                         MAP_PRIVATE | (own ? MAP_NORESERVE : 0), descriptor, 0);
    if (start == MAP_FAILED)
      problem = errno;
    else
      start_ = static_cast<const std::byte*>(start), size_ = size;
    if (start_ && !own) {
      const std::lock_guard lock(live().mutex);
      live().sizes[start_] = size_;
    }
  }
  ::close(descriptor);
  if (!regular) throw Error("cannot read " + file_.string() + ": it is not a regular file", Exit::data);
  if (problem != 0) throw Error("cannot map " + file_.string() + ": " + std::strerror(problem), Exit::data);
}

MappedFile::~MappedFile() {
  if (!start_) return;
  const std::lock_guard lock(live().mutex);
  live().sizes.erase(start_);
  ::munmap(const_cast<std::byte*>(start_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)),
      start_(std::exchange(other.start_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(start_, other.start_);
  std::swap(size_, other.size_);
  return *this;
}

void drop_mapped_pages(const void* data, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(data);
  // Held until the kernel is done: the map must not give way to other memory meanwhile.
  const std::lock_guard lock(live().mutex);
  auto found = live().sizes.upper_bound(first);
  if (found == live().sizes.begin()) return;
  --found;
  const auto offset = static_cast<std::size_t>(first - found->first);
  if (offset >= found->second || size > found->second - offset) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (offset + page - 1) / page * page;
  const auto end = offset + size == found->second ? offset + size : (offset + size) / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(found->first) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace xp
