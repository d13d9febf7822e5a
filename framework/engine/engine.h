#pragma once
// The one door into libxp_engine: runs a plan.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/state_retention.h"
#include "plugin/registry.h"
#include "recipe/plan.h"

namespace xp {

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

/// Runs what is missing, records, folds. Throws Error; exit codes of section 8 through Error::exit.
RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);

}  // namespace xp

/// The C door that the program finds with engine_function("xp_engine_run"): never throws; returns an Exit, and a text
/// that the caller frees with std::free.
extern "C" XP_API int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue,
                                    const xp::RunOptions* options, xp::RunSummary* summary, char** message);
