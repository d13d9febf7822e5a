#pragma once
// Runs a plan, in libxp_core where its stages read documents only; what such a run has in common with those of
// libxp_engine.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/state_retention.h"
#include "plugin/registry.h"
#include "recipe/plan.h"

namespace xp {

struct RunShared;
class StageRunner;

/// Which of several processes this one is, and where they meet.
struct ProcessPlace {
  int rank = 0, size = 1;
  std::filesystem::path file;  ///< that all see, and that was not there before; or
  std::string host;            ///< where the first process, or a server, listens
  std::uint16_t port = 0;
  bool served = false;  ///< a server listens already
  bool local = false;   ///< all on this machine
};

struct RunOptions {
  std::filesystem::path results;     ///< results folder
  std::vector<std::string> command;  ///< as typed, for the record
  bool json = false, quiet = false;
  bool any_build = false;          ///< accept artifacts of other builds
  double max_seconds = 0;          ///< stop with a checkpoint after this time; 0: never
  double checkpoint_seconds = 60;  ///< training states are written this often; it changes no result
  StateRetention keep_states;
  ProcessPlace place;
  std::string below;          ///< of a sweep's trial: the sweep's folder below the recipe's, where its result goes
  std::string run;            ///< name of the result; empty: a new run id
  std::string rest_at;        ///< run this stage and what it needs, and nothing else ...
  double rest_share = 0;      ///< ... up to this share of its `stop`, where it leaves a training state and no result
  bool tell_failure = false;  ///< a failure comes back in the summary, not as an Error
};

struct RunSummary {
  std::string run;             ///< run id
  std::filesystem::path file;  ///< result file
  std::string status;          ///< "done" "failed" "stopped" "interrupted" "rests"
  std::size_t executed = 0, cached = 0, failed = 0;
  Exit exit = Exit::ok;
  std::string failure;  ///< what kind: "out_of_memory" "non_finite" "timeout" "error"; empty: none
  std::string why;      ///< text of the failure
};

/// Whether a plan needs libxp_engine: a plugin of it does, or it is to run on another device than the CPU.
XP_API bool needs_tensors(const Plan& plan, const Catalogue& catalogue);

/// Runs what is missing of a plan that needs no tensors, records, folds. Throws Error; exit codes of section 8
/// through Error::exit.
XP_API RunSummary run_documents(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);

/// The same with a runner of the caller's for its stages; it is made when the plugins are loaded and signals are
/// caught.
XP_API RunSummary run_with(const Plan& plan, const Catalogue& catalogue, const RunOptions& options,
                           const std::function<std::unique_ptr<StageRunner>(const RunShared&)>& make_runner);

}  // namespace xp
