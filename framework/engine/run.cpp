// The door of libxp_engine: loads plugins, runs the graph, folds the result.
#include <ATen/Context.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/graph.h"
#include "plugin/build_stamp.h"
#include "plugin/loader.h"

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
  struct sigaction before_[2] {};
};

std::string utc_now() {
  const auto now = std::time(nullptr);
  struct tm parts {};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return std::string(trim(line.substr(line.find(':') + 1)));
  return "unknown";
}

// HEAD is read, not asked of git: a result must not depend on a program being installed.
std::string commit_of(const std::filesystem::path& root) {
  std::error_code none;
  const auto git = root / ".git";
  if (!std::filesystem::is_directory(git, none)) return {};
  try {
    auto head = std::string(trim(read_file(git / "HEAD", 4096)));
    if (!head.starts_with("ref: ")) return head;
    head = head.substr(5);
    if (std::filesystem::exists(git / head, none)) return std::string(trim(read_file(git / head, 4096)));
    for (const auto& line : split(read_file(git / "packed-refs", 1 << 24), '\n'))
      if (line.ends_with(" " + head)) return line.substr(0, line.find(' '));
  } catch (const Error&) {
    return {};  // an unreadable repository is no reason to lose a run
  }
  return {};
}

Attributes attributes_of(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  struct utsname about {};
  uname(&about);
  std::string plugins;
  for (const auto& library : libraries(plan, catalogue))
    for (const auto* info : catalogue.list())
      if (info->library == library) {
        plugins += (plugins.empty() ? "" : "\n") + info->plugin + " " + info->hash;
        break;
      }
  return {{"recipe", plan.source},
          {"command", join(options.command, " ")},
          {"started", utc_now()},
          {"host", about.nodename},
          {"system", std::string(about.sysname) + " " + about.release + " " + about.machine},
          {"cpu", cpu_model()},
          {"threads_per_stage", std::to_string(stage_threads(plan))},
          {"device", plan.setting.device},
          {"precision", plan.setting.precision},
          {"determinism", plan.setting.determinism},
          {"libtorch", XP_TORCH_VERSION},
          {"xp", XP_VERSION},
          {"build", XP_BUILD_STAMP},
          {"commit", commit_of(project_root(std::filesystem::current_path()))},
          {"plugins", plugins},
          {"plan_id", plan.plan_id},
          {"exclusive", std::any_of(plan.claims.begin(), plan.claims.end(), [](const auto& c) { return c.exclusive; }) ? "asked" : "no"}};
}

void set_determinism(const Plan& plan) {
  if (plan.setting.device != "cpu" && !(plan.setting.device == "cuda" && at::hasCUDA()))
    throw Error("device " + backquoted(plan.setting.device) + " is not there; this LibTorch has cpu" + (at::hasCUDA() ? " and cuda" : " only"), Exit::usage);
  at::globalContext().setDeterministicAlgorithms(plan.setting.determinism == "bitwise", false);
}

}  // namespace

RunSummary run(const Plan& plan, const Catalogue& catalogue, const RunOptions& options) {
  set_determinism(plan);
  Registry registry;
  load_plugins(registry, catalogue, libraries(plan, catalogue));
  const Cache cache(options.results);
  RunSummary summary;
  summary.run = new_run_id();
  RunLog log(options.results, plan.name, summary.run, attributes_of(plan, catalogue, options), to_value(plan));
  const Signals signals;
  std::size_t missing = 0;
  for (const auto& node : plan.nodes) missing += cache.find(node.digest) ? 0 : 1;
  Reporter reporter(missing, options.quiet);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.max_seconds);
  const RunShared shared{plan, registry, cache, stop_signal, [&](const std::string& node, double share, const std::string& what) {
                           if (options.max_seconds > 0 && std::chrono::steady_clock::now() > deadline && stop_signal == 0) stop_signal = SIGTERM;
                           reporter.progress(node, share, what);
                         }};
  const auto outcome = run_graph(shared, log, reporter);
  summary.executed = outcome.executed, summary.cached = outcome.cached, summary.failed = outcome.failed;
  const int signal = stop_signal.load();
  summary.status = signal != 0 ? (outcome.exit == Exit::stopped ? "stopped" : "interrupted") : outcome.failed > 0 ? "failed" : "done";
  summary.file = log.close(summary.status, cache);
  if (signal != 0) {
    const Exit exit = outcome.exit == Exit::stopped ? Exit::stopped : signal == SIGTERM ? Exit::terminated : Exit::interrupted;
    throw Error("stopped by " + std::string(signal == SIGTERM ? "request" : "interrupt") + "; the same command goes on from here", exit);
  }
  if (outcome.failed > 0) {
    std::string text;
    for (const auto& [node, why] : outcome.failures) text += (text.empty() ? "" : "\n") + std::string("stage ") + node + ": " + why;
    throw Error(text, outcome.exit == Exit::ok ? Exit::failed : outcome.exit);
  }
  return summary;
}

}  // namespace xp

int xp_engine_run(const xp::Plan* plan, const xp::Catalogue* catalogue, const xp::RunOptions* options, xp::RunSummary* summary, char** message) {
  const auto give = [&](const char* text, xp::Exit exit) {
    *message = strdup(text);
    return static_cast<int>(exit);
  };
  try {
    *summary = xp::run(*plan, *catalogue, *options);
    return 0;
  } catch (const xp::Error& error) {
    return give(error.what(), error.exit());
  } catch (const std::exception& error) {
    return give(error.what(), xp::Exit::failed);
  }
}
