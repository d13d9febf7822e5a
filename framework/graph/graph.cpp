#include "graph/graph.h"

#include <malloc.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "graph/work_clock.h"
#include "kit/word_counts.h"

namespace xp {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPoll = std::chrono::milliseconds(300);
constexpr double kLongStage = 5;  // seconds from which on giving memory back costs nothing beside the stage

enum class Status { waiting, running, done, failed, left_out };

/// LibTorch adds its own frames to what it throws, for those who debug it.
std::string without_frames(std::string text) { return text.substr(0, text.find("\nException raised from ")); }

/// Nodes that RunShared::rest_at leaves out: neither that stage nor what it needs.
std::set<std::size_t> left_out(const RunShared& shared) {
  std::set<std::size_t> out;
  if (shared.rest_at.empty()) return out;
  const auto& nodes = shared.plan.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].name != shared.rest_at) out.insert(i);
  for (std::size_t i = nodes.size(); i-- > 0;)  // inputs stand before their users
    if (!out.contains(i))
      for (const auto input : nodes[i].inputs) out.erase(input);
  return out;
}

class Graph {
 public:
  Graph(const RunShared& shared, StageRunner& runner, RunLog& log, Reporter& reporter)
      : shared_(shared),
        runner_(runner),
        log_(log),
        reporter_(reporter),
        status_(shared.plan.nodes.size(), Status::waiting) {
    for (const auto& member : shared.plan.members)
      for (const auto& [name, index] : member.nodes) users_[index].push_back(&member);
    for (const auto index : left_out(shared)) status_[index] = Status::left_out;
  }

  GraphOutcome run() {
    skip_what_is_there();
    const auto workers = worker_count();
    std::vector<std::jthread> pool;
    for (std::size_t w = 0; w < workers; ++w) pool.emplace_back([this] { work(); });
    pool.clear();
    return outcome_;
  }

 private:
  // Records of all nodes go into the result, so a node counts as there only with its own entry.
  void skip_what_is_there() {
    const auto& nodes = shared_.plan.nodes;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (status_[i] == Status::waiting && shared_.cache.find(nodes[i].digest)) {
        status_[i] = Status::done, ++outcome_.cached;
        log_.stage(nodes[i].digest, "cached");
      }
  }

  std::size_t worker_count() const {
    if (!runner_.alone()) return 1;  // the others follow one stage at a time
    for (const auto& claim : shared_.plan.claims)
      if (claim.exclusive) return 1;
    return std::max<std::size_t>(1, thread_count(0) / static_cast<unsigned>(stage_threads(shared_.plan)));
  }

  // The first ready node in the plan's order.
  std::optional<std::size_t> pick(bool& finished) {
    finished = true;
    for (std::size_t i = 0; i < status_.size(); ++i) {
      if (status_[i] == Status::running) finished = false;
      if (status_[i] != Status::waiting) continue;
      const auto& inputs = shared_.plan.nodes[i].inputs;
      if (std::any_of(inputs.begin(), inputs.end(), [&](auto in) { return status_[in] == Status::failed; })) {
        status_[i] = Status::failed, ++outcome_.failed, ++outcome_.held_back;
        continue;
      }
      finished = false;
      if (std::all_of(inputs.begin(), inputs.end(), [&](auto in) { return status_[in] == Status::done; })) return i;
    }
    return std::nullopt;
  }

  void work() {
    runner_.thread_begins();
    for (;;) {
      std::size_t index = 0;
      {
        std::unique_lock lock(guard_);
        for (;;) {
          if (shared_.stop.load() != 0) return;
          if (outcome_.failed > 0 && !runner_.alone()) return;  // they may stand at different places now
          bool finished = false;
          const auto next = pick(finished);
          if (finished) return changed_.notify_all();
          if (next) {
            index = *next, status_[index] = Status::running;
            break;
          }
          changed_.wait_for(lock, kPoll);
        }
      }
      run_node(index);
      changed_.notify_all();
    }
  }

  void run_node(std::size_t index) {
    const auto& node = shared_.plan.nodes[index];
    const auto label = label_of(index);
    const auto started = Clock::now();
    reporter_.started(node.digest, label);
    try {
      const bool executed = make(node, label, started);
      if (executed && seconds_since(started) > kLongStage) runner_.return_memory();
      const std::lock_guard lock(guard_);
      status_[index] = Status::done;
      ++(executed ? outcome_.executed : outcome_.cached);
    } catch (const Diverged& error) {
      report_failure(index, error.what(), error.exit(), "non_finite", started);
    } catch (const Error& error) {
      report_failure(index, error.what(), error.exit(), "error", started);
    } catch (const std::bad_alloc&) {
      report_failure(index, "there is not enough memory", Exit::failed, "out_of_memory", started);
    } catch (const std::exception& error) {
      const auto why = without_frames(error.what());
      const bool memory = why.find("not enough memory") != std::string::npos ||
                          why.find("out of memory") != std::string::npos;  // of the CPU's allocator, and of CUDA's
      report_failure(index, why, Exit::failed, memory ? "out_of_memory" : "error", started);
    }
  }

  /// True if this process made it, false if another did meanwhile.
  bool make(const PlanNode& node, const std::string& label, Clock::time_point started) {
    std::string told;
    for (;;) {
      std::string holder;
      if (auto lease = shared_.cache.claim(node.digest, &holder)) {
        if (shared_.cache.find(node.digest)) break;
        execute(node, *lease);
        reporter_.finished(node.digest, "done", seconds_since(started));
        return true;
      }
      if (holder != told) reporter_.say("  " + label + ": waits for " + holder), told = holder;
      if (shared_.cache.find(node.digest)) break;
      if (shared_.stop.load() != 0) throw Error("interrupted while waiting for another run", Exit::interrupted);
      std::this_thread::sleep_for(kPoll);
    }
    log_.stage(node.digest, "cached");
    reporter_.finished(node.digest, "made by another run", seconds_since(started));
    return false;
  }

  void execute(const PlanNode& node, Lease& lease) {
    const WorkClock clock;
    log_.stage(node.digest, "started");
    JournalRecorder recorder(lease.work() / "record.journal");
    runner_.run(node, lease.work(), recorder);
    recorder.check();  // the commit brings the file to the disk
    CacheEntry about;
    about.digest = node.digest, about.stage_type = node.type, about.stage_name = node.name,
    about.recipe = shared_.plan.name, about.settings = settings_digest(node);
    about.counters = recorder.last_counters();
    about.seconds =
        std::max(clock.seconds(), about.counters.seconds);  // an attempt before a stop counts its training
    lease.commit(about);
    log_.stage(node.digest, "done");
  }

  std::string label_of(std::size_t index) const {
    const auto& node = shared_.plan.nodes[index];
    const auto found = users_.find(index);
    if (found == users_.end() || found->second.size() == shared_.plan.members.size()) return node.name;
    const auto* first = found->second.front();
    const bool one_arm =
        std::all_of(found->second.begin(), found->second.end(), [&](const auto* m) { return m->arm == first->arm; });
    std::string label = node.name;
    if (one_arm) label += " of " + first->arm;
    if (found->second.size() == 1 || !one_arm) label += ", seed " + std::to_string(first->seed);
    return label;
  }

  void report_failure(std::size_t index, const std::string& why, Exit exit, const std::string& kind,
                      Clock::time_point started) {
    log_.stage(shared_.plan.nodes[index].digest, "failed: " + why);
    const bool wrong = exit != Exit::stopped && exit != Exit::interrupted && exit != Exit::terminated;
    reporter_.finished(shared_.plan.nodes[index].digest, (wrong ? "failed: " : "") + why, seconds_since(started));
    const std::lock_guard lock(guard_);
    status_[index] = Status::failed;
    ++outcome_.failed;
    outcome_.failures[label_of(index)] = why;
    if (outcome_.exit == Exit::ok) outcome_.exit = exit;
    if (exit == Exit::stopped) ++outcome_.stopped;
    if (wrong && outcome_.failure.empty()) outcome_.failure = kind;
  }

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  RunShared shared_;
  StageRunner& runner_;
  RunLog& log_;
  Reporter& reporter_;
  std::vector<Status> status_;
  std::map<std::size_t, std::vector<const PlanMember*>> users_;
  std::mutex guard_;
  std::condition_variable changed_;
  GraphOutcome outcome_;
};

}  // namespace

GraphOutcome run_graph(const RunShared& shared, StageRunner& runner, RunLog& log, Reporter& reporter) {
  return Graph(shared, runner, log, reporter).run();
}

StageRunner::~StageRunner() = default;
void StageRunner::return_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

int stage_threads(const Plan& plan) { return static_cast<int>(thread_count(plan.setting.threads)); }

Table stage_settings(const PlanNode& node) {
  Table settings = node.settings;
  settings.insert_or_assign("type", Value(node.type));
  return settings;
}

}  // namespace xp
