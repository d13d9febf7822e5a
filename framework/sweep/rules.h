#pragma once
// What a recipe's [sweep] says, as those who run it need it.
#include <map>
#include <string>
#include <vector>

#include "api/search.h"
#include "recipe/plan.h"

namespace xp::sweep {

/// How a trial can fail: "out_of_memory" "non_finite" "crash" "timeout" "error".
XP_API const std::vector<std::string>& failure_classes();

struct Rules {
  std::string goal;               ///< metric path, its mean over seeds; empty: no trial is better than another
  bool higher = false;            ///< which goals are better
  Table method, prune, launcher;  ///< components with `type`; empty: none is named
  std::map<std::string, std::int64_t> retries;  ///< by failure class
  double timeout = 0;                           ///< seconds for one attempt; 0: no limit
  double budget = 0;                            ///< seconds of work after which no trial begins; 0: no limit
  std::vector<std::string> arms;                ///< one study each, in the recipe's order
  std::vector<std::int64_t> seeds;              ///< all of them make a trial
  std::vector<Value> axes;                      ///< as written
};

/// Of a plan with all arms and seeds of the recipe. Throws Error (Exit::usage) if the recipe states no axes.
XP_API Rules rules_of(const Plan& plan);

/// The axes of one arm. Those that another one asks for come behind it. Throws Error (Exit::usage) if conditions go
/// round in a circle.
XP_API std::vector<SearchAxis> axes_of(const Rules& rules, const std::string& arm);

/// Lines that are equal where two plans mean the same sweep: a longer search, other retries, budgets and launchers do
/// not count.
XP_API std::vector<std::string> identity_of(const Plan& plan, const Rules& rules);

/// The first lines in which two of these differ, as "- old" and "+ new"; at most `most`.
XP_API std::string difference_of(const std::vector<std::string>& before, const std::vector<std::string>& now,
                                 std::size_t most = 12);

}  // namespace xp::sweep
