#pragma once
// All runs of a recipe at once: what tables need of closed ones lies in one file beside them.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "results/run_log.h"

namespace xp {

constexpr const char* kIndexFile = "runs.index";

/// The results of a recipe, newest first. Closed ones come from results/<recipe>/runs.index, which holds a file as
/// long as its size and time are what they were; what is new is read and added, and a damaged index is made again.
/// Records from there have final values, counters and the ends of curves, but neither items nor notes; whole curves
/// and plans are read from the file when asked for, which is not kept open.
XP_API std::vector<std::unique_ptr<Result>> read_results(const std::filesystem::path& results,
                                                         std::string_view recipe, const Cache& cache);

}  // namespace xp
