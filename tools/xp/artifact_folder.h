#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "program.h"

namespace xp::program {

/// What `from` names: a file or folder that is there, or RECIPE:STAGE, a stage of the newest result of a recipe; of
/// its artifacts the first that holds one of `files`. Throws Error (Exit::usage, Exit::data) saying what is missing.
std::filesystem::path artifact_folder(const Program& program, const std::string& from,
                                      const std::vector<std::string>& files);

}  // namespace xp::program
