#include "engine_door.h"

#include <cstdlib>
#include <memory>

#include "plugin/loader.h"

namespace xp::program {
namespace {

/// Calls a door with what it takes and where its message goes.
template <class Door, class... Args>
void call(const char* name, Door*, Args... args) {
  char* message = nullptr;
  const int code = reinterpret_cast<Door*>(engine_function(name))(args..., &message);
  const std::unique_ptr<char, decltype(&std::free)> text(message, &std::free);
  if (code != 0) throw Error(text ? text.get() : "the engine failed without a word", static_cast<Exit>(code));
}

}  // namespace

RunSummary run_plan(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  if (options.place.size == 1 && !needs_tensors(plan, catalogue)) return run_documents(plan, catalogue, options);
  RunSummary summary;
  call("xp_engine_run", static_cast<decltype(&xp_engine_run)>(nullptr), &plan, &catalogue, &options, &summary);
  return summary;
}

AdaptReport adapt_in_engine(const AdaptRequest& request, const Catalogue& catalogue) {
  AdaptReport report;
  call("xp_engine_adapt", static_cast<decltype(&xp_engine_adapt)>(nullptr), &request, &catalogue, &report);
  return report;
}

std::vector<std::string> export_in_engine(const ExportRequest& request, const Catalogue& catalogue) {
  std::vector<std::string> lost;
  call("xp_engine_export", static_cast<decltype(&xp_engine_export)>(nullptr), &request, &catalogue, &lost);
  return lost;
}

FormatReport report_in_engine(const std::filesystem::path& path, const Catalogue& catalogue) {
  FormatReport report;
  call("xp_engine_report", static_cast<decltype(&xp_engine_report)>(nullptr), &path, &catalogue, &report);
  return report;
}

}  // namespace xp::program
