#pragma once
// Many runs of a folder at once: what tables need of closed ones lies in one file beside them.
#include <filesystem>
#include <memory>
#include <vector>

#include "results/run_log.h"

namespace xp {

constexpr const char* kIndexFile = "runs.index";

/// All results of a folder, of a recipe or of a sweep: `files`, in their order. Closed ones come from the folder's
/// runs.index, which holds a file as long as its size and time are what they were; what is new is read and added,
/// what `files` do not name goes, and a damaged index is made again. Records from there have final values, counters
/// and the ends of curves, but neither items nor notes; whole curves and plans are read from the file when asked for,
/// which is not kept open. Journals are read with the records of `cache`.
XP_API std::vector<std::unique_ptr<Result>> read_results(const std::filesystem::path& folder,
                                                         const std::vector<std::filesystem::path>& files,
                                                         const Cache& cache);

}  // namespace xp
