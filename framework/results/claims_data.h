#pragma once
// Values in pairs for claims: what judge.cpp reads from a study.
#include <string>
#include <vector>

#include "results/claims.h"

namespace xp::detail {

/// Values of two arms by seed or by item. With problems the numbers are not to be used.
struct Pairs {
  std::vector<std::string> names;
  std::vector<double> arm, against;
  MetricSignature what;
  std::vector<std::string> problems;
  std::size_t repeated = 0;  ///< seeds left out because they share both measurements with an earlier one
};

/// `against` empty: against 0, for slopes. Problems say which number is missing, not finite, or unlike the others.
Pairs pairs_of(const ClaimSpec& claim, const MetricPath& path, const Study& study, const std::string& arm,
               const std::string& against);
/// Gates that do not hold or cannot be read, in any run of these arms.
std::vector<std::string> failed_gates(const ClaimSpec& claim, const Study& study,
                                      const std::vector<std::string>& arms);
/// What speaks against comparing seconds: no `exclusive`, several hosts.
std::vector<std::string> clock_problems(const ClaimSpec& claim, const Study& study,
                                        const std::vector<std::string>& arms);
/// True if a number of the path is a time.
bool is_time(const MetricPath& path, const MetricSignature& what);

}  // namespace xp::detail
