#pragma once
// Runs a program that may crash, hang or print without end.
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/export.h"

namespace xp {

struct ChildResult {
  bool finished = false;  ///< false: the time ran out and it was killed
  int code = 0;           ///< exit code
  int signal = 0;         ///< that ended it; 0: none
  bool too_much = false;  ///< it printed more than the limit and was killed
  std::string output;
  std::string errors;  ///< the end of what it wrote to stderr, at most 4 kB
};

/// Runs `command` in a process group of its own, without input, and waits; nothing of its group is left afterwards.
/// Throws Error (Exit::plugin) if it cannot be started.
XP_API ChildResult run_child(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                             std::size_t most_output);

/// "SIGSEGV" for 11.
XP_API std::string signal_name(int signal);

}  // namespace xp
