#pragma once
// Calls into libxp_engine, which is loaded when the first is made.
#include "engine/adapt.h"
#include "engine/engine.h"
#include "engine/export.h"

namespace xp::program {

/// As xp::run, xp::adapt, xp::export_model and xp::report_on; throw Error.
RunSummary run_in_engine(const Plan& plan, const Catalogue& catalogue, const RunOptions& options);
AdaptReport adapt_in_engine(const AdaptRequest& request, const Catalogue& catalogue);
std::vector<std::string> export_in_engine(const ExportRequest& request, const Catalogue& catalogue);
FormatReport report_in_engine(const std::filesystem::path& path, const Catalogue& catalogue);

}  // namespace xp::program
