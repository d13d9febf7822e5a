#pragma once
// What `xp adapt` measures of a model before and after.
#include <filesystem>
#include <string>
#include <vector>

#include "program.h"

namespace xp::program {

struct Measure {
  std::string key, name, unit;
  double before = 0, after = 0;
};

/// Both models on text files, as a recipe with two stages that is run in a folder of its own. `capabilities` say
/// which measure of likelihood there is.
std::vector<Measure> measure(const Program& program, const Catalogue& catalogue,
                             const std::pair<std::filesystem::path, std::filesystem::path>& models,
                             const std::vector<std::string>& texts, const std::vector<std::string>& capabilities);

}  // namespace xp::program
