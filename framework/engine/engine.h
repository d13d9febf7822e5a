#pragma once
// The one door into libxp_engine: runs a plan.
#include <filesystem>
#include <string>
#include <vector>

#include "plugin/registry.h"
#include "recipe/plan.h"

namespace xp {

struct RunOptions {
  std::filesystem::path results;     ///< results folder
  std::vector<std::string> command;  ///< as typed, for the record
  bool json = false, quiet = false;
  bool any_build = false;  ///< accept artifacts of other builds
  double max_seconds = 0;  ///< stop with a checkpoint after this time; 0: never
};

struct RunSummary {
  std::string run;             ///< run id
  std::filesystem::path file;  ///< result file
  std::string status;          ///< "done" "failed" "stopped" "interrupted"
  std::size_t executed = 0, cached = 0, failed = 0;
};

/// Runs what is missing, records, folds. Throws Error; exit codes of section 8 through Error::exit.
RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);

}  // namespace xp

/// The C door that the program finds with engine_function("xp_engine_run"): never throws; returns an Exit, and a text
/// that the caller frees with std::free.
extern "C" XP_API int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue,
                                    const xp::RunOptions* options, xp::RunSummary* summary, char** message);
