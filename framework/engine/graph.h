#pragma once
// Runs the nodes of a plan that the cache lacks, several at a time where their threads fit the machine.
#include <atomic>
#include <map>
#include <string>

#include "engine/context.h"
#include "engine/reporter.h"
#include "results/run_log.h"

namespace xp {

struct GraphOutcome {
  std::size_t executed = 0, cached = 0, failed = 0;
  std::size_t held_back = 0;                    ///< of `failed`: not run, since an input failed
  std::map<std::string, std::string> failures;  ///< node name -> what was wrong
  Exit exit = Exit::ok;                         ///< of the first failure, or why it stopped
};

/// What the processes other than the first do: they train along wherever it trains, until it is done.
void follow_graph(const RunShared& shared);

GraphOutcome run_graph(const RunShared& shared, RunLog& log, Reporter& reporter);

}  // namespace xp
