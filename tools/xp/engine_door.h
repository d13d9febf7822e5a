#pragma once
// Calls into libxp_engine, which is loaded when the first is made.
#include "engine/adapt.h"
#include "engine/engine.h"
#include "engine/export.h"

namespace xp::program {

/// As xp::run, without libxp_engine where the plan needs no tensors; throws Error.
RunSummary run_plan(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);
/// As xp::adapt, xp::export_model and xp::report_on; throw Error.
AdaptReport adapt_in_engine(const AdaptRequest& request, const Catalogue& catalogue);
std::vector<std::string> export_in_engine(const ExportRequest& request, const Catalogue& catalogue);
FormatReport report_in_engine(const std::filesystem::path& path, const Catalogue& catalogue);

}  // namespace xp::program
