// make_new KIND NAME FOLDER, or make_new --kinds: what `xp new` does, for outside_test.py.
#include <cstdio>
#include <exception>
#include <string>

#include "new_plugin.h"

int main(int argc, char** argv) {
  try {
    if (argc == 2 && std::string(argv[1]) == "--kinds") {
      for (const auto& kind : xp::new_kinds()) std::puts(kind.c_str());
      return 0;
    }
    if (argc != 4) return 2;
    for (const auto& file : xp::new_plugin(argv[1], argv[2], argv[3], false)) std::puts(file.c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
