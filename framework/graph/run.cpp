// Loads plugins, runs the graph, folds the result.
#include "graph/run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iterator>

#include "base/text.h"
#include "graph/document_run.h"
#include "graph/graph.h"
#include "plugin/loader.h"
#include "recipe/provenance.h"

namespace xp {
namespace {

std::atomic<int> stop_signal{0};

void on_signal(int signal) {
  // A person's second ^C ends the process at once. A scheduler may well send SIGTERM twice: to all processes of a
  // job, and to the script that passes it on.
  if (stop_signal.exchange(signal) != 0 && signal == SIGINT) std::_Exit(128 + signal);
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

/// Stages of documents, one process.
class DocumentStages final : public StageRunner {
 public:
  explicit DocumentStages(const RunShared& shared) : shared_(shared) {}
  void run(const PlanNode& node, const std::filesystem::path& work, JournalRecorder& recorder) override {
    const auto stage = shared_.registry.make<AnyStage>(stage_settings(node));
    DocumentRun context(shared_, node, work, recorder);
    dynamic_cast<DocumentStage&>(*stage).run(context);
    context.check_outputs();
  }

 private:
  const RunShared& shared_;
};

// What was wrong with which stages.
std::string failure_text(const GraphOutcome& outcome) {
  std::string text;
  for (const auto& [node, why] : outcome.failures)
    text += (text.empty() ? "" : "\n") + std::string("stage ") + node + ": " + why;
  if (outcome.held_back > 0) text += "\n" + count(outcome.held_back, "stage") + " behind it not run";
  return text;
}

// Status, exit code and reason from how the graph ended.
void conclude(const GraphOutcome& outcome, int signal, bool out_of_time, RunSummary& summary) {
  if (signal != 0) {
    summary.status = outcome.exit == Exit::stopped ? "stopped" : "interrupted";
    summary.exit = outcome.exit == Exit::stopped || out_of_time ? Exit::stopped
                   : signal == SIGTERM                          ? Exit::terminated
                                                                : Exit::interrupted;
    const char* by = out_of_time ? "--max-time" : signal == SIGTERM ? "request" : "interrupt";
    summary.why = std::string("stopped by ") + by + "; the same command goes on from here";
    if (out_of_time) summary.failure = "timeout";
  } else if (outcome.failed > 0) {
    summary.status = "failed", summary.exit = outcome.exit == Exit::ok ? Exit::failed : outcome.exit;
    summary.failure = outcome.failure.empty() ? "error" : outcome.failure;
    summary.why = failure_text(outcome);
  } else {
    summary.status = "done";
  }
}

}  // namespace

bool needs_tensors(const Plan& plan, const Catalogue& catalogue) {
  const auto used = libraries(plan, catalogue);
  return plan.setting.device != "cpu" ||
         std::any_of(used.begin(), used.end(), [](const auto& library) { return look_at(library).tensors; });
}

RunSummary run_documents(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  return run_with(plan, catalogue, options,
                  [](const RunShared& shared) { return std::make_unique<DocumentStages>(shared); });
}

RunSummary run_with(const Plan& plan, const Catalogue& catalogue, const RunOptions& options,
                    const std::function<std::unique_ptr<StageRunner>(const RunShared&)>& make_runner) {
  Registry registry;
  load_plugins(registry, catalogue, libraries(plan, catalogue));
  Cache cache(options.results);
  const Signals signals;
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
      [&](const std::string& node, double share, const std::string& what) {
        if (options.max_seconds > 0 && std::chrono::steady_clock::now() > deadline && stop_signal == 0)
          stop_signal = SIGTERM, out_of_time = true;
        reporter.progress(node, share, what);
      },
      options.rest_at,
      options.rest_share,
      options.checkpoint_seconds,
      options.keep_states,
      [&](const std::string& node, double share, const std::string& from) { reporter.goes_on(node, share, from); }};
  const auto runner = make_runner(shared);
  RunSummary summary;
  if (!runner->leads()) {
    runner->follow();
    summary.status = "done";
    return summary;
  }
  summary.run = options.run.empty() ? new_run_id() : options.run;
  RunLog log(options.results, plan.name, summary.run, run_attributes(plan, catalogue, options.command),
             to_value(plan), options.below);
  const auto outcome = run_graph(shared, *runner, log, reporter);
  runner->finished(outcome.failed == 0 && stop_signal == 0);
  summary.executed = outcome.executed, summary.cached = outcome.cached, summary.failed = outcome.failed;
  if (!options.rest_at.empty() && stop_signal == 0 && outcome.failed == outcome.stopped) {
    summary.status = "rests";
    log.discard();
    return summary;
  }
  conclude(outcome, stop_signal.load(), out_of_time, summary);
  summary.file = log.close(summary.status, cache);
  if (summary.exit != Exit::ok && !options.tell_failure) throw Error(summary.why, summary.exit);
  return summary;
}

}  // namespace xp
