// Loads one plugin library in a process of its own and prints its manifest, or writes it beside the library.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "plugin/loader.h"

#if defined(__SANITIZE_ADDRESS__)
// A plugin that crashes shall end this process by the signal, as it does without the sanitizer.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0";
}
#endif

namespace {

namespace fs = std::filesystem;

void print(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(descriptor, text.data(), text.size());
    if (n <= 0) throw xp::Error("the manifest cannot be printed", xp::Exit::plugin);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The host refuses what others can write; a group-writable umask must not make a fresh build unusable.
void write_beside(const fs::path& library, const std::string& manifest) {
  constexpr auto others = fs::perms::group_write | fs::perms::others_write;
  fs::permissions(library, others, fs::perm_options::remove);
  auto file = library;
  file.replace_extension(".json");
  xp::write_file(file, manifest);
  fs::permissions(file, others, fs::perm_options::remove);
}

}  // namespace

int main(int argc, char** argv) {
  const bool write = argc == 3 && std::string(argv[1]) == "--write";
  if (argc != 2 && !write) {
    std::fputs("usage: xp-describe [--write] LIBRARY\n", stderr);
    return static_cast<int>(xp::Exit::usage);
  }
  // A plugin that hangs ends with whoever asked, one that crashes leaves no core file, and one that prints while it
  // is loaded does not print into the manifest.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  const int output = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  try {
    const fs::path library = argv[argc - 1];
    const std::string manifest = xp::describe_library(library);
    if (write)
      write_beside(library, manifest);
    else
      print(output, manifest);
    return 0;
  } catch (const xp::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(xp::Exit::plugin);
  }
}
