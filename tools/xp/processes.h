#pragma once
// Several processes that train together: which one this is, and starting the others.
#include <sys/types.h>

#include <filesystem>
#include <vector>

#include "graph/run.h"

namespace xp::program {

/// As torchrun, srun or `xp run --nproc` say in the environment; alone if none does. `results` is a folder that all
/// see. Throws Error (Exit::usage) for an environment that makes no sense.
ProcessPlace place_from_environment(const std::filesystem::path& results);

/// The other processes of `--nproc` on this machine. Those that are left end with it.
class LocalProcesses {
 public:
  /// Starts `command` again count - 1 times, each with its rank.
  LocalProcesses(const std::filesystem::path& program, const std::vector<std::string>& command, int count,
                 const std::filesystem::path& results);
  ~LocalProcesses();
  LocalProcesses(const LocalProcesses&) = delete;

  const ProcessPlace& place() const { return place_; }
  void wait();  ///< until all have ended

 private:
  ProcessPlace place_;
  std::vector<pid_t> children_;
};

}  // namespace xp::program
