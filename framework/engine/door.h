#pragma once
// What the C functions of libxp_engine have in common: they never throw.
#include <cstring>

#include "base/error.h"

namespace xp {

/// Runs a door's part; a failure becomes an exit code and a text that the caller frees.
template <class Part>
int door(char** message, Part part) {
  const auto give = [&](const char* text, Exit exit) {
    *message = strdup(text);
    return static_cast<int>(exit);
  };
  try {
    part();
    return 0;
  } catch (const Error& error) {
    return give(error.what(), error.exit());
  } catch (const std::exception& error) {
    return give(error.what(), Exit::failed);
  }
}

}  // namespace xp
