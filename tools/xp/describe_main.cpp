// Loads one plugin library in a process of its own and prints its manifest, or writes it beside the library.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "plugin/loader.h"

int main(int argc, char** argv) {
  const bool write = argc == 3 && std::string(argv[1]) == "--write";
  if (argc != 2 && !write) {
    std::fputs("usage: xp-describe [--write] LIBRARY\n", stderr);
    return static_cast<int>(xp::Exit::usage);
  }
  try {
    const std::filesystem::path library = argv[argc - 1];
    const std::string manifest = xp::describe_library(library);
    if (write)
      xp::write_file(std::filesystem::path(library).replace_extension(".json"), manifest);
    else
      std::fputs(manifest.c_str(), stdout);
    return 0;
  } catch (const xp::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(xp::Exit::plugin);
  }
}
