#include "base/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace xp::detail {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 17;

Error unreadable(const std::filesystem::path& file, const std::string& reason) {
  return Error("cannot read " + backquoted(file.string()) + ": " + reason, Exit::data);
}

}  // namespace

void too_large(const std::filesystem::path& file, std::uint64_t limit) {
  throw unreadable(file, "it is larger than the limit of " + std::to_string(limit) + " bytes");
}

Input::Input(const std::filesystem::path& file) : file_(file) {
  struct stat s {};
  // O_NONBLOCK: opening a pipe that nobody writes to must not hang; regular files do not care.
  descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) throw unreadable(file, std::strerror(errno));
  const bool known = ::fstat(descriptor_, &s) == 0;
  if (known && (S_ISREG(s.st_mode) || S_ISCHR(s.st_mode))) return;
  ::close(descriptor_);
  throw unreadable(file, known && S_ISDIR(s.st_mode) ? "it is a folder" : "it is not a file");
}

Input::~Input() { ::close(descriptor_); }

std::size_t Input::read(char* to, std::size_t most) {
  for (;;) {
    const auto n = ::read(descriptor_, to, std::min(most, std::size_t{1} << 30));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) throw unreadable(file_, std::strerror(errno));
  }
}

struct ZstdInput::Impl {
  explicit Impl(const std::filesystem::path& f) : file(f), input(f), stream(ZSTD_createDStream()) {
    if (!stream) throw unreadable(file, "out of memory");
  }
  ~Impl() { ZSTD_freeDStream(stream); }
  std::filesystem::path file;
  Input input;
  ZSTD_DStream* stream;
  std::vector<char> buffer = std::vector<char>(kBuffer);
  ZSTD_inBuffer in{buffer.data(), 0, 0};
  std::size_t wanted = 0;  ///< 0 between frames
  bool any = false;
};

ZstdInput::ZstdInput(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
ZstdInput::~ZstdInput() = default;

std::size_t ZstdInput::read(char* to, std::size_t most) {
  auto& s = *impl_;
  ZSTD_outBuffer out{to, most, 0};
  bool ended = false;
  while (out.pos == 0) {
    if (s.in.pos == s.in.size) {
      s.in.size = s.input.read(s.buffer.data(), s.buffer.size());
      s.in.pos = 0;
      ended = s.in.size == 0;
      if (ended && (s.wanted == 0 && s.any)) return 0;
    }
    const auto before = s.in.pos;
    s.wanted = ZSTD_decompressStream(s.stream, &out, &s.in);
    if (ZSTD_isError(s.wanted)) throw unreadable(s.file, std::string("zstd: ") + ZSTD_getErrorName(s.wanted));
    s.any = s.any || s.in.pos > before;
    if (ended && out.pos == 0 && s.wanted != 0) throw unreadable(s.file, "zstd: the file ends too early");
  }
  return out.pos;
}

struct GzipInput::Impl {
  explicit Impl(const std::filesystem::path& f) : file(f), input(f) {
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw unreadable(file, "out of memory");
  }
  ~Impl() { inflateEnd(&stream); }
  std::filesystem::path file;
  Input input;
  z_stream stream{};
  std::vector<char> buffer = std::vector<char>(kBuffer);
  bool between = false;  ///< a member has ended, the next has not begun
};

GzipInput::GzipInput(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
GzipInput::~GzipInput() = default;

std::size_t GzipInput::read(char* to, std::size_t most) {
  auto& s = *impl_;
  const auto room = static_cast<uInt>(std::min(most, std::size_t{1} << 30));
  s.stream.next_out = reinterpret_cast<Bytef*>(to);
  s.stream.avail_out = room;
  while (s.stream.avail_out == room) {
    bool ended = false;
    if (s.stream.avail_in == 0) {
      s.stream.avail_in = static_cast<uInt>(s.input.read(s.buffer.data(), s.buffer.size()));
      s.stream.next_in = reinterpret_cast<Bytef*>(s.buffer.data());
      ended = s.stream.avail_in == 0;
      if (ended && s.between) return 0;
    }
    if (s.between) inflateReset(&s.stream);
    s.between = false;
    const int done = inflate(&s.stream, Z_NO_FLUSH);
    s.between = done == Z_STREAM_END;
    if (done == Z_MEM_ERROR) throw unreadable(s.file, "gzip: out of memory");
    if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR)
      throw unreadable(s.file, std::string("gzip: ") + (s.stream.msg ? s.stream.msg : "damaged data"));
    if (ended && !s.between && s.stream.avail_out == room) throw unreadable(s.file, "gzip: the file ends too early");
  }
  return room - s.stream.avail_out;
}

}  // namespace xp::detail
