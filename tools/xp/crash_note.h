#pragma once
// The last word of a process that crashes: which signal ended it, in a file for those who look for it.
#include <filesystem>

namespace xp::program {

/// While it lives, SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT write their name to `file` before they end the process
/// as they would without it. One at a time.
class CrashNote {
 public:
  explicit CrashNote(const std::filesystem::path& file);
  ~CrashNote();
  CrashNote(const CrashNote&) = delete;
};

}  // namespace xp::program
