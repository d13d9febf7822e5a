#include "rungs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace xp::pruners {

PruneRule Watch::rule() const {
  PruneRule out{metric, better == "higher", {}};
  for (const auto& rung : rungs) {
    const double share = rung.amount / 100;
    if (!(share > (out.rungs.empty() ? 0 : out.rungs.back())) || !(share < 1))
      throw Error("a rung at " + to_text(rung) + (out.rungs.empty() ? "" : " after one at " + to_text(*(&rung - 1))) +
                      " prunes nothing; rungs rise and lie between 0% and 100%, such as [\"10%\", \"30%\"]",
                  Exit::usage);
    out.rungs.push_back(share);
  }
  if (out.rungs.empty())
    throw Error("a pruner without `rungs` prunes nothing; name some, such as [\"10%\", \"30%\"]", Exit::usage);
  return out;
}

void Rungs::tell(std::int64_t trial, std::size_t rung, double value) {
  if (rung >= told_.size())
    throw Error("trial " + std::to_string(trial) + " was told at rung " + std::to_string(rung) + " of " +
                std::to_string(told_.size()));
  auto& told = told_[rung];
  if (std::any_of(told.begin(), told.end(), [&](const Told& one) { return one.trial == trial; }))
    throw Error("trial " + std::to_string(trial) + " was told twice at rung " + std::to_string(rung));
  told.push_back({trial, std::isnan(value) ? std::numeric_limits<double>::infinity() : value});
}

}  // namespace xp::pruners
