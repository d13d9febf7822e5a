#pragma once
// Runs the nodes of a plan that the cache lacks, several at a time where their threads fit the machine.
#include <atomic>
#include <map>
#include <set>
#include <string>

#include "engine/context.h"
#include "engine/reporter.h"
#include "results/run_log.h"

namespace xp {

struct GraphOutcome {
  std::size_t executed = 0, cached = 0, failed = 0;
  std::size_t held_back = 0;                    ///< of `failed`: not run, since an input failed
  std::size_t stopped = 0;                      ///< of `failed`: stopped with a training state
  std::map<std::string, std::string> failures;  ///< node name -> what was wrong
  Exit exit = Exit::ok;                         ///< of the first failure, or why it stopped
  std::string failure;                          ///< kind of the first one that is no stop
};

/// What the processes other than the first do: they train along wherever it trains, until it is done.
void follow_graph(const RunShared& shared);

/// Nodes that RunShared::rest_at leaves out: neither that stage nor what it needs.
std::set<std::size_t> left_out(const RunShared& shared);

GraphOutcome run_graph(const RunShared& shared, RunLog& log, Reporter& reporter);

}  // namespace xp
