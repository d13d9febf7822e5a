#include "results/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "results/late_sync.h"
#include "results/wire.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

// A file is a header (magic, version, CRC of both) and frames: size and CRC of (size, kind, payload), kind, payload.
constexpr std::string_view kMagic = "xpjournl";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeader = 16, kFrame = 9;
constexpr std::size_t kLargest = std::size_t{1} << 30;

Error cannot(std::string_view what, const fs::path& file, int reason, Exit exit = Exit::failed) {
  return Error("cannot " + std::string(what) + " " + backquoted(file.string()) + ": " + std::strerror(reason), exit);
}

std::uint32_t checksum(std::string_view bytes, std::uint32_t from = 0) {
  return static_cast<std::uint32_t>(
      ::crc32_z(from, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::uint32_t frame_checksum(std::uint32_t size, char kind, std::string_view payload) {
  auto sum = checksum(detail::Packer().u32(size).bytes());
  sum = checksum({&kind, 1}, sum);
  return checksum(payload, sum);
}

// A window over a file that grows only by bytes that are really there.
class Window {
 public:
  explicit Window(const fs::path& file, std::uint64_t from = 0) : file_(file) {
    descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) throw cannot("read", file, errno, Exit::data);
    if (from > 0 && ::lseek(descriptor_, static_cast<off_t>(from), SEEK_SET) < 0) {
      const int reason = errno;
      ::close(descriptor_);
      throw cannot("read", file, reason, Exit::data);
    }
  }
  ~Window() { ::close(descriptor_); }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // The next bytes, `size` of them or as many as there are.
  std::string_view peek(std::size_t size) {
    constexpr std::size_t kChunk = std::size_t{1} << 18;
    while (buffer_.size() - at_ < size) {
      buffer_.erase(0, at_);
      at_ = 0;
      const auto had = buffer_.size();
      buffer_.resize(had + kChunk);
      const auto n = ::read(descriptor_, buffer_.data() + had, kChunk);
      const int reason = errno;
      buffer_.resize(had + static_cast<std::size_t>(n > 0 ? n : 0));
      if (n < 0 && reason == EINTR) continue;
      if (n < 0) throw cannot("read", file_, reason, Exit::data);
      if (n == 0) break;
    }
    return std::string_view(buffer_).substr(at_, size);
  }
  void skip(std::size_t size) { at_ += size; }

 private:
  fs::path file_;
  int descriptor_ = -1;
  std::string buffer_;
  std::size_t at_ = 0;
};

// False if the file ends within the header: its writer was killed before the first record.
bool read_header(Window& in, const fs::path& file) {
  const auto bytes = in.peek(kHeader);
  const auto right = journal_header();
  if (bytes == right) {
    in.skip(kHeader);
    return true;
  }
  if (bytes.size() < kHeader && right.starts_with(bytes)) return false;
  if (bytes.size() == kHeader && bytes.starts_with(kMagic)) {
    const auto version = detail::Unpacker(bytes.substr(kMagic.size())).u32();
    if (version != kVersion && detail::Unpacker(bytes.substr(12)).u32() == checksum(bytes.substr(0, 12)))
      throw Error(backquoted(file.string()) + " is a journal of format " + std::to_string(version) +
                      "; this program reads format " + std::to_string(kVersion),
                  Exit::data);
    throw Error(backquoted(file.string()) + " is damaged: its first 16 bytes do not fit their checksum", Exit::data);
  }
  throw Error(backquoted(file.string()) + " is no journal: it does not start with " + backquoted(kMagic), Exit::data);
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

}  // namespace

std::string journal_header() {
  detail::Packer head;
  head.u32(kVersion);
  const auto start = std::string(kMagic) + head.bytes();
  return start + detail::Packer().u32(checksum(start)).bytes();
}

std::string journal_frame(std::uint8_t kind, std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  detail::Packer head;
  head.u32(size).u32(frame_checksum(size, static_cast<char>(kind), payload));
  std::string frame = head.bytes();
  frame += static_cast<char>(kind);
  return frame += payload;
}

std::uint64_t read_journal(const fs::path& file, const std::function<void(std::uint8_t, std::string_view)>& visit,
                           std::uint64_t from) {
  Window in(file, from);
  if (from == 0 && !read_header(in, file)) return 0;
  for (std::uint64_t good = std::max<std::uint64_t>(from, kHeader);;) {
    const auto head = in.peek(kFrame);
    if (head.size() < kFrame) return good;
    detail::Unpacker numbers(head);
    const auto size = numbers.u32(), sum = numbers.u32();
    if (size > kLargest) return good;
    const auto frame = in.peek(kFrame + size);
    if (frame.size() < kFrame + size) return good;
    const auto payload = frame.substr(kFrame);
    if (frame_checksum(size, frame[8], payload) != sum) return good;
    visit(static_cast<std::uint8_t>(frame[8]), payload);
    in.skip(kFrame + size);
    good += kFrame + size;
  }
}

struct JournalWriter::Impl {
  fs::path file;
  int descriptor = -1;
  std::uint64_t size = 0;
  std::mutex mutex;
  std::string failure;  ///< of a record that could not be taken back
  std::optional<detail::LateSync> disk;

  ~Impl() {
    if (descriptor >= 0) ::close(descriptor);
  }

  void open() {
    descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) throw cannot("write", file, errno);
    struct stat s {};
    if (::fstat(descriptor, &s) != 0) throw cannot("write", file, errno);
    const auto there = static_cast<std::uint64_t>(s.st_size);
    size = there == 0 ? 0 : read_journal(file, [](std::uint8_t, std::string_view) {});
    if (size < there) {
      log::debug(backquoted(file.string()) + ": " + std::to_string(there - size) +
                 " bytes after the last whole record are cut off");
      if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) throw cannot("write", file, errno);
    }
    if (size == 0) put(journal_header());
    sync_soon();
  }

  // The file as it is called now, and its name.
  void sync_soon() {
    disk.emplace(file);
    disk->soon();
    detail::LateSync(folder_of(file)).soon();
  }

  // Whole or not at all.
  void put(std::string_view bytes) {
    if (const int reason = write_bytes(descriptor, bytes); reason != 0) {
      if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0)
        failure = "cannot write " + backquoted(file.string()) + ": " + std::strerror(reason) +
                  ", and its unfinished record could not be taken back: " + std::strerror(errno);
      throw cannot("write", file, reason);
    }
    size += bytes.size();
  }

  void check() const {
    if (!failure.empty()) throw Error(failure);
    disk->check();
  }
};

JournalWriter::JournalWriter(const fs::path& file) : impl_(std::make_unique<Impl>()) {
  impl_->file = file;
  impl_->open();
}

JournalWriter::~JournalWriter() = default;

void JournalWriter::publish(const fs::path& file) {
  const std::lock_guard lock(impl_->mutex);
  if (::rename(impl_->file.c_str(), file.c_str()) != 0) throw cannot("write", file, errno);
  impl_->file = file;
  impl_->sync_soon();
}

void JournalWriter::append(std::uint8_t kind, std::string_view payload) {
  if (payload.size() > kLargest)
    throw Error("a record of " + bytes_text(static_cast<double>(payload.size())) + " does not fit " +
                backquoted(impl_->file.string()) + ": the largest is " + bytes_text(kLargest));
  const auto frame = journal_frame(kind, payload);
  const std::lock_guard lock(impl_->mutex);
  impl_->check();
  impl_->put(frame);
  impl_->disk->soon();
}

void JournalWriter::sync() {
  check();
  impl_->disk->now();  // without the lock: others append meanwhile
}

void JournalWriter::check() const {
  const std::lock_guard lock(impl_->mutex);
  impl_->check();
}

const fs::path& JournalWriter::path() const { return impl_->file; }

}  // namespace xp
