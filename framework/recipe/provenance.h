#pragma once
// What a result file says of the run that made it.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "recipe/plan.h"
#include "results/run_log.h"

namespace xp {

/// Host, versions, plugin identities, commit and the rest of the attributes of `/`; started is now.
XP_API Attributes run_attributes(const Plan& plan, const Catalogue& catalogue,
                                 const std::vector<std::string>& command);

/// Name and sha256 of each plugin that the plan's components come from.
std::vector<std::pair<std::string, std::string>> plugin_hashes(const Plan& plan, const Catalogue& catalogue);

/// "yes" if tracked files of the git work tree differ from its commit, "no", or "unknown" if git cannot say; empty
/// where there is no work tree.
XP_API std::string uncommitted_changes(const std::filesystem::path& root);

}  // namespace xp
