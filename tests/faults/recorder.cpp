// Preloaded into a program, writes down what it does to the files below a folder, in order: what a power cut could
// take away again is worked out from that by disk.py. XP_POWER_CUT_ROOT names the folder, XP_POWER_CUT_LOG the log.
//
// A line of JSON for each operation; those that write are followed by their bytes. Files are told apart by inode, so
// names may change while they are written to.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}
#define REAL(name) static auto* const next = real<decltype(::name)>(#name)

struct Recorder {
  std::string root;
  int log = -1;
  std::recursive_mutex mutex;

  Recorder() {
    const char* folder = std::getenv("XP_POWER_CUT_ROOT");
    const char* file = std::getenv("XP_POWER_CUT_LOG");
    if (!folder || !file) return;
    root = folder;
    static auto* const open_file = real<decltype(::open)>("open");
    log = open_file(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  }

  static Recorder& only() {
    static auto* recorder = new Recorder;  // others write until the very end of the process
    return *recorder;
  }

  // The path below the root, if it is there.
  bool inside(std::string_view path, std::string& below) const {
    if (log < 0 || !path.starts_with(root + "/")) return false;
    below = path.substr(root.size() + 1);
    return true;
  }
};

std::string absolute(int folder, const char* path) {
  if (*path == '/') return path;
  char here[PATH_MAX];
  const auto link = folder == AT_FDCWD ? std::string("/proc/self/cwd") : "/proc/self/fd/" + std::to_string(folder);
  const auto n = ::readlink(link.c_str(), here, sizeof here);
  return n < 0 ? std::string(path) : std::string(here, static_cast<std::size_t>(n)) + "/" + path;
}

// "a/./b//c/../d" without its detours; links are left alone.
std::string clean(const std::string& path) {
  std::string out;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part == "..")
      out.resize(out.empty() ? 0 : out.rfind('/'));
    else if (!part.empty() && part != ".")
      out += "/" + part;
    at = end + 1;
  }
  return out;
}

std::string path_of(int descriptor) {
  char path[PATH_MAX];
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return n < 0 ? std::string() : std::string(path, static_cast<std::size_t>(n));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// One operation at a time, in all processes: the log's order is the order in which things happened.
class Turn {
 public:
  Turn() : lock_(Recorder::only().mutex) {
    if (Recorder::only().log >= 0) ::flock(Recorder::only().log, LOCK_EX);
  }
  ~Turn() {
    const int kept = errno;
    if (Recorder::only().log >= 0) ::flock(Recorder::only().log, LOCK_UN);
    errno = kept;
  }
  void note(const std::string& fields, std::string_view bytes = {}) const {
    static auto* const write_out = real<decltype(::write)>("write");
    const int kept = errno;
    char head[64];
    std::snprintf(head, sizeof head, "{\"at\": %.6f, \"bytes\": %zu, ", now(), bytes.size());
    std::string line = head + fields + "}\n";
    line += bytes;
    for (std::string_view rest = line; !rest.empty();) {
      const auto n = write_out(Recorder::only().log, rest.data(), rest.size());
      if (n <= 0) std::abort();
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    errno = kept;
  }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

std::string field(const char* key, const std::string& text) {
  return std::string("\"") + key + "\": " + quoted(text);
}
std::string field(const char* key, long long number) {
  return std::string("\"") + key + "\": " + std::to_string(number);
}

bool state_of(int descriptor, std::string& below, struct stat& state) {
  return Recorder::only().inside(path_of(descriptor), below) && ::fstat(descriptor, &state) == 0;
}

// A descriptor that was opened to write: a new name, or a file that is emptied.
void opened(const Turn& turn, int descriptor, bool was_there, bool emptied) {
  std::string below;
  struct stat state {};
  if (descriptor < 0 || !state_of(descriptor, below, state) || !S_ISREG(state.st_mode)) return;
  if (!was_there)
    turn.note(field("op", "create") + ", " + field("path", below) + ", " + field("inode", state.st_ino));
  else if (emptied)
    turn.note(field("op", "truncate") + ", " + field("inode", state.st_ino) + ", " + field("size", 0));
}

bool is_there(int folder, const char* path) {
  struct stat state {};
  return ::fstatat(folder, path, &state, 0) == 0;
}

int open_at(int folder, const char* path, int flags, mode_t mode) {
  REAL(openat);
  const bool makes = (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_DIRECTORY) == 0;
  if (!makes) return next(folder, path, flags, mode);
  const Turn turn;
  const bool before = is_there(folder, path);
  const int descriptor = next(folder, path, flags, mode);
  opened(turn, descriptor, before, (flags & O_TRUNC) != 0);
  return descriptor;
}

FILE* open_stream(FILE* (*next)(const char*, const char*), const char* path, const char* mode) {
  if (*mode == 'r') return next(path, mode);
  const Turn turn;
  const bool before = is_there(AT_FDCWD, path);
  FILE* file = next(path, mode);
  if (file) opened(turn, ::fileno(file), before, *mode == 'w');
  return file;
}

// `place` < 0: where the descriptor stands before the write, or the end for one that appends.
off_t place_of(int descriptor, off_t place) {
  if (place >= 0) return place;
  struct stat state {};
  const int flags = ::fcntl(descriptor, F_GETFL);
  if ((flags & O_APPEND) != 0 && ::fstat(descriptor, &state) == 0) return state.st_size;
  return ::lseek(descriptor, 0, SEEK_CUR);
}

template <class Do>
ssize_t written(int descriptor, std::string_view bytes, off_t place, Do&& act) {
  std::string below;
  struct stat state {};
  if (Recorder::only().log < 0 || !state_of(descriptor, below, state) || !S_ISREG(state.st_mode)) return act();
  const Turn turn;
  const auto from = place_of(descriptor, place);
  const auto n = act();
  if (n > 0)
    turn.note(field("op", "write") + ", " + field("inode", state.st_ino) + ", " + field("offset", from),
              bytes.substr(0, static_cast<std::size_t>(n)));
  return n;
}

template <class Do>
int synced(int descriptor, Do&& act) {
  std::string below;
  struct stat state {};
  const bool known = Recorder::only().log >= 0 && Recorder::only().inside(path_of(descriptor) + "/", below) &&
                     ::fstat(descriptor, &state) == 0;
  if (!known) return act();
  const Turn turn;
  const int done = act();
  if (done == 0) turn.note(field("op", "sync") + ", " + field("path", below) + ", " + field("inode", state.st_ino));
  return done;
}

// Names that come, go and move. `other` is where it goes, or empty.
template <class Do>
int named(const char* what, const std::string& path, const std::string& other, Do&& act) {
  std::string below, to;
  const bool known = Recorder::only().inside(clean(path), below);
  const bool into = !other.empty() && Recorder::only().inside(clean(other), to);
  if (!known && !into) return act();
  const Turn turn;
  const int done = act();
  if (done != 0) return done;
  struct stat state {};
  static auto* const look = real<decltype(::lstat)>("lstat");
  auto fields = field("op", what) + ", " + field("path", below);
  if (!other.empty()) fields += ", " + field("to", to);
  if (std::string_view(what) == "mkdir" && look(path.c_str(), &state) == 0)
    fields += ", " + field("inode", state.st_ino);
  turn.note(fields);
  return done;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return open_at(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return open_at(folder, path, flags, mode);
}
FILE* fopen(const char* path, const char* mode) {
  REAL(fopen);
  return open_stream(next, path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  REAL(fopen64);
  return open_stream(next, path, mode);
}
ssize_t write(int descriptor, const void* bytes, size_t size) {
  REAL(write);
  return written(descriptor, {static_cast<const char*>(bytes), size}, -1,
                 [&] { return next(descriptor, bytes, size); });
}
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t at) {
  REAL(pwrite);
  return written(descriptor, {static_cast<const char*>(bytes), size}, at,
                 [&] { return next(descriptor, bytes, size, at); });
}
ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t at) {
  REAL(pwrite64);
  return written(descriptor, {static_cast<const char*>(bytes), size}, at,
                 [&] { return next(descriptor, bytes, size, at); });
}
ssize_t writev(int descriptor, const iovec* parts, int count) {
  REAL(writev);
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return written(descriptor, bytes, -1, [&] { return next(descriptor, parts, count); });
}
int ftruncate(int descriptor, off_t size) noexcept {
  REAL(ftruncate);
  std::string below;
  struct stat state {};
  if (Recorder::only().log < 0 || !state_of(descriptor, below, state)) return next(descriptor, size);
  const Turn turn;
  const int done = next(descriptor, size);
  if (done == 0)
    turn.note(field("op", "truncate") + ", " + field("inode", state.st_ino) + ", " + field("size", size));
  return done;
}
int fsync(int descriptor) {
  REAL(fsync);
  return synced(descriptor, [&] { return next(descriptor); });
}
int fdatasync(int descriptor) {
  REAL(fdatasync);
  return synced(descriptor, [&] { return next(descriptor); });
}
int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return named("rename", absolute(AT_FDCWD, from), absolute(AT_FDCWD, to), [&] { return next(from, to); });
}
int link(const char* from, const char* to) noexcept {
  REAL(link);
  return named("link", absolute(AT_FDCWD, from), absolute(AT_FDCWD, to), [&] { return next(from, to); });
}
int unlink(const char* path) noexcept {
  REAL(unlink);
  return named("unlink", absolute(AT_FDCWD, path), {}, [&] { return next(path); });
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  REAL(unlinkat);
  return named("unlink", absolute(folder, path), {}, [&] { return next(folder, path, flags); });
}
int remove(const char* path) noexcept {
  REAL(remove);
  return named("unlink", absolute(AT_FDCWD, path), {}, [&] { return next(path); });
}
int rmdir(const char* path) noexcept {
  REAL(rmdir);
  return named("unlink", absolute(AT_FDCWD, path), {}, [&] { return next(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return named("mkdir", absolute(AT_FDCWD, path), {}, [&] { return next(path, mode); });
}

}  // extern "C"
