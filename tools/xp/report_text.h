#pragma once
// What `xp run`, `xp table` and `xp plot` print and write of results.
#include <filesystem>
#include <string>
#include <vector>

#include "results/run_log.h"

namespace xp::program {

/// The recipe's tables and the claims' verdicts, for people.
std::string result_text(const std::vector<const Result*>& results);
std::string result_json(const std::vector<const Result*>& results);
/// The recipe's figures as SVG files in a folder; returns them.
std::vector<std::filesystem::path> write_figures(const std::vector<const Result*>& results,
                                                 const std::filesystem::path& folder);

}  // namespace xp::program
