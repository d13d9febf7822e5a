#include "draw.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace xp::program {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// A file without a name.
File passing_file() {
  File file(std::tmpfile(), &std::fclose);
  if (!file) throw Error(std::string("cannot make a temporary file: ") + std::strerror(errno));
  return file;
}

/// Runs a program that reads `in` and writes `out`, and gives its exit code.
int run_filter(const std::filesystem::path& filter, const std::string& argument, std::FILE* in, std::FILE* out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(in), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
  std::string name = filter.string(), option = argument;
  char* arguments[] = {name.data(), option.data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawn(&child, name.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw Error("cannot start " + backquoted(name) + ": " + std::strerror(failed));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

const std::vector<std::string>& picture_formats() {
  static const std::vector<std::string> kFormats{"svg", "png", "pdf"};
  return kFormats;
}

std::string drawn(const Program& program, const std::string& svg, const std::string& format) {
  if (format == "svg") return svg;
  const auto filter = program.self().parent_path() / "xp-draw";
  if (::access(filter.c_str(), X_OK) != 0)
    throw Error(
        "this build of xp draws SVG only, for librsvg was not there when it was made; `tools/setup` installs "
        "it, then build again, or take --format svg");
  const auto in = passing_file(), out = passing_file();
  if (std::fwrite(svg.data(), 1, svg.size(), in.get()) != svg.size() || std::fflush(in.get()) != 0)
    throw Error("cannot write a temporary file: " + std::string(std::strerror(errno)));
  std::rewind(in.get());
  if (run_filter(filter, format, in.get(), out.get()) != 0)
    throw Error("the picture could not be drawn as " + format);
  std::string bytes;
  char part[1 << 16];
  std::rewind(out.get());
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, out.get())) > 0;) bytes.append(part, n);
  if (std::ferror(out.get()) || bytes.empty()) throw Error("the drawn picture cannot be read back");
  return bytes;
}

}  // namespace xp::program
