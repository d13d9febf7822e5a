#pragma once
// Reports: one HTML file that holds all that it needs and asks for nothing.
#include <string>
#include <vector>

#include "results/run_log.h"

namespace xp {

/// A page with what these results say: runs, claims, tables, figures, what the arms change, stages, ledgers, recipe
/// and environment. Several results stand side by side. It holds no script, no time of its own and no address of
/// anything outside: the same results give the same bytes, but for whether an open run's process lives.
XP_API std::string report_html(const std::vector<const Result*>& results);

}  // namespace xp
