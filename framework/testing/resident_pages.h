#pragma once
// How much of a range of memory is in memory.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace xp::testing {

/// Pages of [data, data + size) that this process has in memory, as the kernel counts them. Throws Error if it does
/// not say.
inline std::size_t resident_pages(const void* data, std::size_t size) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const auto first = begin / page, last = (begin + size + page - 1) / page;
  std::vector<std::uint64_t> entries(last - first);
  const int file = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (file < 0) throw Error("/proc/self/pagemap cannot be opened");
  const auto bytes = entries.size() * sizeof(std::uint64_t);
  const auto got = ::pread(file, entries.data(), bytes, static_cast<off_t>(first * sizeof(std::uint64_t)));
  ::close(file);
  if (got < 0 || static_cast<std::size_t>(got) != bytes) throw Error("/proc/self/pagemap says nothing of this range");
  std::size_t present = 0;
  for (const auto entry : entries) present += entry >> 63;
  return present;
}

}  // namespace xp::testing
