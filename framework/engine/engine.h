#pragma once
// The one door into libxp_engine: runs a plan.
#include "graph/run.h"

namespace xp {

/// Runs any plan, as run_documents() does those without tensors.
RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);

}  // namespace xp

/// The C door that the program finds with engine_function("xp_engine_run"): never throws; returns an Exit, and a text
/// that the caller frees with std::free.
extern "C" XP_API int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue,
                                    const xp::RunOptions* options, xp::RunSummary* summary, char** message);
