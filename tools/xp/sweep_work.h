#pragma once
// A worker of a sweep: runs one trial after the other in this process.
#include <atomic>
#include <filesystem>

#include "sweep/decider.h"
#include "sweep_setup.h"

namespace xp::program {

struct WorkRequest {
  std::filesystem::path folder;  ///< of the sweep
  double max_seconds = 0;        ///< stop with a checkpoint after this time; 0: never
  bool proposes = true;          ///< may ask a search that is outside
};

/// Works until nothing is left to do, the time is over or somebody asks it to stop; then Error (Exit::stopped).
void work_at_sweep(const Program& program, const SweepSetup& setup, const WorkRequest& request);

/// One line for people about what happened to a trial; empty: nothing worth a line.
std::string event_line(const sweep::Event& event, const sweep::TrialState& trial, const sweep::Rules& rules);

/// Set by SIGINT and SIGTERM while one of these lives.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  static const std::atomic<bool>& flag();

 private:
  struct Before;
  std::unique_ptr<Before> before_;
};

}  // namespace xp::program
