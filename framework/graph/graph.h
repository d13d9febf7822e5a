#pragma once
// Runs the nodes of a plan that the cache lacks, several at a time where their threads fit the machine.
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "graph/reporter.h"
#include "graph/state_retention.h"
#include "plugin/registry.h"
#include "recipe/plan.h"
#include "results/cache.h"
#include "results/journal.h"
#include "results/run_log.h"

namespace xp {

/// What all stages of a run share.
struct RunShared {
  const Plan& plan;
  const Registry& registry;
  Cache& cache;
  const std::atomic<int>& stop;  ///< signal number, 0: go on
  std::function<void(const std::string& node, double share, const std::string& what)> progress;
  std::string rest_at = {};  ///< a stage that stops, with a training state, when `rest_share` of it is done
  double rest_share = 0;
  double checkpoint_seconds = 60;  ///< between two training states
  StateRetention keep_states = {};
  std::function<void(const std::string& node, double share, const std::string& from)> goes_on = {};
};

/// How a run's stages are run. By default this process is the only one, and nothing is left to do around a stage.
class XP_API StageRunner {
 public:
  virtual ~StageRunner();
  virtual void run(const PlanNode& node, const std::filesystem::path& work, JournalRecorder& recorder) = 0;

  virtual bool leads() const { return true; }  ///< of several processes only one has the graph and the results
  virtual bool alone() const { return true; }
  virtual void follow() {}  ///< for those that do not lead: helps with stages until the first has no more
  /// The first has no more; `whole`: none failed or was stopped, so that all are there to hear it.
  virtual void finished(bool /*whole*/) {}
  virtual void thread_begins() {}  ///< in each thread that runs stages
  virtual void return_memory();    ///< after a long stage: gives back to the system what is free
};

/// Training whose gradients stay broken.
class XP_API Diverged final : public Error {
 public:
  using Error::Error;
};

struct GraphOutcome {
  std::size_t executed = 0, cached = 0, failed = 0;
  std::size_t held_back = 0;                    ///< of `failed`: not run, since an input failed
  std::size_t stopped = 0;                      ///< of `failed`: stopped with a training state
  std::map<std::string, std::string> failures;  ///< node name -> what was wrong
  Exit exit = Exit::ok;                         ///< of the first failure, or why it stopped
  std::string failure;                          ///< kind of the first one that is no stop
};

GraphOutcome run_graph(const RunShared& shared, StageRunner& runner, RunLog& log, Reporter& reporter);

/// Threads that a plan gives one stage.
XP_API int stage_threads(const Plan& plan);

/// A node's settings as its stage is made from them.
XP_API Table stage_settings(const PlanNode& node);

}  // namespace xp
