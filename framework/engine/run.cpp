// The door of libxp_engine: loads plugins, runs the graph, folds the result.
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "engine/device.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/graph.h"
#include "plugin/loader.h"
#include "recipe/provenance.h"

namespace xp {
namespace {

std::atomic<int> stop_signal{0};

void on_signal(int signal) {
  // The second request ends the process at once.
  if (stop_signal.exchange(signal) != 0) std::_Exit(128 + signal);
}

/// Installs the handlers for the life of a run.
class Signals {
 public:
  Signals() {
    stop_signal = 0;
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~Signals() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM};
  struct sigaction before_[2]{};
};

/// Training allocates the same sizes at every step; given back to the system each time, their pages are cleared anew,
/// a tenth of a small model's CPU time.
void keep_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}  // namespace

RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  device_of(plan, 0);  // refused before anything is loaded
  set_determinism(plan);
  warn_of_slow_precision(plan);
  keep_memory();
  Registry registry;
  load_plugins(registry, catalogue, libraries(plan, catalogue));
  Cache cache(options.results);
  const Signals signals;
  const auto processes = Processes::join(options.place);
  RunSummary summary;
  if (!processes->first()) {
    follow_graph({plan, registry, cache, stop_signal, *processes, [](const auto&, double, const auto&) {}});
    summary.status = "done";
    return summary;
  }
  summary.run = new_run_id();
  RunLog log(options.results, plan.name, summary.run, run_attributes(plan, catalogue, options.command),
             to_value(plan));
  std::size_t missing = 0;
  for (const auto& node : plan.nodes) missing += cache.find(node.digest) ? 0 : 1;
  Reporter reporter(missing, options.quiet);
  std::atomic<bool> out_of_time{false};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.max_seconds);
  const RunShared shared{
      plan,
      registry,
      cache,
      stop_signal,
      *processes,
      [&](const std::string& node, double share, const std::string& what) {
        if (options.max_seconds > 0 && std::chrono::steady_clock::now() > deadline && stop_signal == 0)
          stop_signal = SIGTERM, out_of_time = true;
        reporter.progress(node, share, what);
      }};
  const auto outcome = run_graph(shared, log, reporter);
  processes->post("done");
  if (outcome.failed == 0 && stop_signal == 0) processes->any(false);  // the others read it before this one goes
  summary.executed = outcome.executed, summary.cached = outcome.cached, summary.failed = outcome.failed;
  const int signal = stop_signal.load();
  summary.status = signal != 0          ? (outcome.exit == Exit::stopped ? "stopped" : "interrupted")
                   : outcome.failed > 0 ? "failed"
                                        : "done";
  summary.file = log.close(summary.status, cache);
  if (signal != 0) {
    const Exit exit = outcome.exit == Exit::stopped || out_of_time ? Exit::stopped
                      : signal == SIGTERM                          ? Exit::terminated
                                                                   : Exit::interrupted;
    const char* by = out_of_time ? "--max-time" : signal == SIGTERM ? "request" : "interrupt";
    throw Error(std::string("stopped by ") + by + "; the same command goes on from here", exit);
  }
  if (outcome.failed > 0) {
    std::string text;
    for (const auto& [node, why] : outcome.failures)
      text += (text.empty() ? "" : "\n") + std::string("stage ") + node + ": " + why;
    if (outcome.held_back > 0) text += "\n" + count(outcome.held_back, "stage") + " behind it not run";
    throw Error(text, outcome.exit == Exit::ok ? Exit::failed : outcome.exit);
  }
  return summary;
}

}  // namespace xp

int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue, const xp::RunOptions* options,
                  xp::RunSummary* summary, char** message) {
  return xp::door(message, [&] { *summary = xp::run(*plan, *catalogue, *options); });
}
