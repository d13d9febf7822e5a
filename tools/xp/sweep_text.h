#pragma once
// What `xp sweep` prints of trials.
#include <string>

#include "sweep/folder.h"

namespace xp::program {

/// Trials by arm: counts by state, the best `most` with the keys that differ, failures with their reasons.
std::string trials_text(const sweep::Trials& trials, const sweep::Header& header, std::size_t most = 10);
Value trials_value(const sweep::Trials& trials, const sweep::Header& header);

/// Dotted keys without what all of them begin with: "lr" of "stage.pretrain.optimizer.lr".
std::map<std::string, std::string> short_keys(const std::vector<std::string>& keys);

}  // namespace xp::program
