#pragma once
// What tests of verdicts share.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "results/claims.h"
#include "studies.h"

namespace xp {

using Catch::Approx;
using V = std::vector<double>;

inline ClaimSpec better_than(std::vector<std::string> baselines) {
  ClaimSpec claim;
  claim.id = "claim", claim.metric = "score.task.accuracy", claim.arm = "new", claim.baseline = std::move(baselines);
  return claim;
}

inline Verdict one(const ClaimSpec& claim, const HandStudy& hand) { return judge({claim}, hand.study).front(); }

inline bool has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

inline const V kOld{0.50, 0.51, 0.49, 0.52, 0.50, 0.51};
inline const V kBetter{0.60, 0.62, 0.58, 0.61, 0.63, 0.60};

}  // namespace xp
