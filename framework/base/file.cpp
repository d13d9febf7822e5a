#include "base/file.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>

#include "base/error.h"
#include "base/input.h"
#include "base/text.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

Error cannot(std::string_view what, const fs::path& path, int reason, Exit exit = Exit::failed) {
  return Error("cannot " + std::string(what) + " " + backquoted(path.string()) + ": " + std::strerror(reason), exit);
}

std::string random_suffix() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  static thread_local std::mt19937_64 random{(std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}()};
  std::string text;
  for (int i = 0; i < 10; ++i) text += kLetters[random() % kLetters.size()];
  return text;
}

fs::path folder_of(const fs::path& file) {
  const auto parent = file.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// Removes the temporary file unless it was renamed.
class Temporary {
 public:
  explicit Temporary(const fs::path& target) {
    // Names end at 255 bytes: a long one keeps its beginning only.
    const auto stem = target.filename().string().substr(0, 200);
    for (int i = 0; i < 100; ++i) {
      path_ = folder_of(target) / ("." + stem + "." + random_suffix() + ".partial");
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0) return;
      if (errno != EEXIST) throw cannot("write", target, errno);
    }
    throw cannot("write", target, EEXIST);
  }
  ~Temporary() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  void fill(std::string_view bytes, const fs::path& target) {
    if (const int reason = write_bytes(descriptor_, bytes); reason != 0) throw cannot("write", target, reason);
    if (::fsync(descriptor_) != 0) throw cannot("write", target, errno);
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0) throw cannot("write", target, errno);
  }
  void rename_to(const fs::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) throw cannot("write", target, errno);
    renamed_ = true;
  }

 private:
  fs::path path_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

// Files below `folder` that fit the parts from `at` on.
void collect(const fs::path& folder, const std::vector<std::string>& parts, std::size_t at,
             std::vector<fs::path>& out);

/// For the part `**`: what the rest fits here and in all folders below. Links to folders are not followed, they may
/// turn back.
void collect_below(const fs::path& folder, const std::vector<std::string>& parts, std::size_t at,
                   std::vector<fs::path>& out) {
  static const std::vector<std::string> any{"*"};
  const bool last = at + 1 == parts.size();
  collect(folder, last ? any : parts, last ? 0 : at + 1, out);
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed) throw cannot("list", folder, failed.value(), Exit::data);
  std::error_code none;
  for (const auto& entry : entries)
    if (entry.is_directory(none) && !entry.is_symlink(none) && !entry.path().filename().string().starts_with('.'))
      collect_below(entry.path(), parts, at, out);
}

void collect(const fs::path& folder, const std::vector<std::string>& parts, std::size_t at,
             std::vector<fs::path>& out) {
  const auto& part = parts[at];
  const bool last = at + 1 == parts.size();
  if (part == "**") return collect_below(folder, parts, at, out);
  const auto take = [&](const fs::path& path) {
    std::error_code none;
    if (last) {
      if (fs::is_regular_file(path, none)) out.push_back(path);
    } else if (fs::is_directory(path, none)) {
      collect(path, parts, at + 1, out);
    }
  };
  if (part.find('*') == std::string::npos) return take(folder / part);
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed) throw cannot("list", folder, failed.value(), Exit::data);
  for (const auto& entry : entries) {
    const auto name = entry.path().filename().string();
    if (name.starts_with('.') && !part.starts_with('.')) continue;  // as in a shell; skips files being written
    if (!fits(name, part)) continue;
    std::error_code none;
    if (!last)
      take(entry.path());
    else if (entry.is_regular_file(none))  // known from the listing where it is no link
      out.push_back(entry.path());
  }
}

}  // namespace

int write_bytes(int descriptor, std::string_view bytes) {
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const auto n = ::write(descriptor, bytes.data(), std::min(bytes.size(), kMostAtOnce));
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

std::string read_file(const fs::path& file, std::uint64_t limit) {
  detail::Input input(file);
  return detail::read_all(input, file, limit);
}

std::string read_text_file(const fs::path& file, std::uint64_t limit) {
  return detail::with_text_input(file, [&](auto& input) { return detail::read_all(input, file, limit); });
}

void write_file(const fs::path& file, std::string_view bytes) {
  if (file.filename().empty()) throw Error("cannot write " + backquoted(file.string()) + ": it names no file");
  std::error_code none;
  const auto status = fs::status(file, none);
  // /dev/null, /dev/stdout and pipes are written to; a rename would put a file in their place.
  if (fs::is_character_file(status) || fs::is_fifo(status) || fs::is_socket(status)) {
    std::FILE* out = std::fopen(file.c_str(), "w");
    if (!out) throw cannot("write", file, errno);
    const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size();
    if (std::fclose(out) != 0 || !whole) throw cannot("write", file, errno);
    return;
  }
  Temporary temporary(file);
  temporary.fill(bytes, file);
  temporary.rename_to(file);
  sync_path(folder_of(file));
}

void sync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw cannot("sync", path, errno);
  int done = ::fsync(descriptor);
  while (done != 0 && errno == EINTR) done = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  // Some network file systems have no fsync for folders and say so with EINVAL.
  if (done != 0 && reason != EINVAL) throw cannot("sync", path, reason);
}

fs::path make_scratch(const fs::path& parent, std::string_view prefix) {
  std::error_code failed;
  fs::create_directories(parent, failed);
  if (failed) throw cannot("make folder", parent, failed.value());
  for (int i = 0; i < 100; ++i) {
    auto path = parent / (std::string(prefix) + random_suffix());
    if (::mkdir(path.c_str(), 0777) == 0) return path;
    if (errno != EEXIST) throw cannot("make folder", path, errno);
  }
  throw cannot("make a new folder in", parent, EEXIST);
}

std::vector<fs::path> glob(const fs::path& root, std::string_view pattern) {
  std::vector<std::string> parts;
  for (auto& part : split(pattern, '/'))
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  std::vector<fs::path> out;
  if (parts.empty() || pattern.ends_with('/')) return out;
  const fs::path from = pattern.starts_with('/') ? fs::path("/") : root.empty() ? fs::path(".") : root;
  std::error_code none;
  if (fs::is_directory(from, none)) collect(from, parts, 0, out);
  std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  out.erase(std::unique(out.begin(), out.end()), out.end());  // several `**` find a file in several ways
  return out;
}

fs::path user_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache == '/') return fs::path(cache) / "xp";  // the XDG rule: relative values do not count
  const char* home = std::getenv("HOME");
  if (home && *home) return fs::path(home) / ".cache" / "xp";
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found && found->pw_dir)
    return fs::path(found->pw_dir) / ".cache" / "xp";
  throw Error("there is no folder for caches: set XDG_CACHE_HOME or HOME");
}

FileLock::FileLock(const fs::path& file) {
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw cannot("lock", file, errno);
  while (::flock(descriptor_, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const int reason = errno;
    ::close(descriptor_);
    throw cannot("lock", file, reason);
  }
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace xp
