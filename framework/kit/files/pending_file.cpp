#include "kit/files/pending_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "kit/files/mapped_file.h"

namespace xp {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{8} << 20;  // a source's pages that are in memory at once

}  // namespace

PendingFile::PendingFile(std::filesystem::path target)
    : target_(std::move(target)), temporary_(std::filesystem::path(target_).concat(".partial")) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw Error("cannot write " + temporary_.string() + ": " + std::strerror(errno));
  there_ = true;
}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      there_(std::exchange(other.there_, false)) {}

PendingFile::~PendingFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (there_) ::unlink(temporary_.c_str());
}

void PendingFile::write(const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const auto n = ::write(descriptor_, at, std::min(size, kMostAtOnce));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error("cannot write " + temporary_.string() + ": " + std::strerror(errno));
    drop_mapped_pages(at, static_cast<std::size_t>(n));
    at += n, size -= static_cast<std::size_t>(n);
  }
}

void PendingFile::sync() {
  if (::fsync(descriptor_) != 0) throw Error("cannot sync " + temporary_.string() + ": " + std::strerror(errno));
  if (::close(std::exchange(descriptor_, -1)) != 0)
    throw Error("cannot close " + temporary_.string() + ": " + std::strerror(errno));
}

void PendingFile::publish() {
  std::error_code problem;
  std::filesystem::rename(temporary_, target_, problem);
  if (problem) throw Error("cannot put " + target_.string() + " in place: " + problem.message());
  there_ = false;
}

}  // namespace xp
