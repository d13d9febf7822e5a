#include "sweep_work.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "clock.h"
#include "crash_note.h"
#include "engine_door.h"
#include "sweep/measure.h"

namespace xp::program {
namespace {

using sweep::Outcome;
using sweep::Step;

constexpr auto kShortestWait = std::chrono::milliseconds(5), kLongestWait = std::chrono::milliseconds(500);
constexpr auto kPatience = std::chrono::minutes(10);  // with a results folder that is away

std::atomic<bool> stop_asked{false};
void ask_to_stop(int) { stop_asked = true; }

/// Tells whether a folder was away at some moment since it began to look. What a trial writes meanwhile lies where
/// the folder was and is gone when it comes back, so that the trial fails later.
class AbsenceWatch {
 public:
  explicit AbsenceWatch(std::function<bool()> there)
      : there_(std::move(there)), thread_([this](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, kLongestWait, [&] { return stop.stop_requested(); }))
            if (!there_()) seen_ = true;
        }) {}
  bool seen() const { return seen_ || !there_(); }

 private:
  std::function<bool()> there_;
  std::atomic<bool> seen_{false};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

class Worker {
 public:
  Worker(const Program& program, const SweepSetup& setup, const WorkRequest& request)
      : program_(program),
        setup_(setup),
        request_(request),
        header_(sweep::read_header(request.folder)),
        decider_(request.folder, setup.rules, setup.registry, request.proposes),
        own_(request.folder / "workers"),
        note_(own_.crash_note()) {
    if (!program.quiet)
      decider_.watch = [this](const sweep::Event& event, const sweep::TrialState& trial) {
        const auto line = event_line(event, trial, setup_.rules);
        if (!line.empty() && caught_up_) std::fprintf(stderr, "%s\n", line.c_str());
      };
    patiently([&] { decider_.look(); });
    caught_up_ = true;
  }

  void run() {
    auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(kShortestWait);
    while (!StopRequest::flag()) {
      if (out_of_time()) throw Error("stopped by --max-time; the same command goes on from here", Exit::stopped);
      Step step;
      patiently([&] { step = decider_.next(own_.id()); });
      if (step.what == Step::What::end) return;
      if (step.what == Step::What::wait) {
        std::this_thread::sleep_for(pause);
        pause = std::min<std::chrono::milliseconds>(2 * pause, kLongestWait);
        continue;
      }
      pause = kShortestWait;
      const auto outcome = attempt(step);
      patiently([&] { decider_.finish(own_.id(), step, outcome); });
    }
    throw Error("stopped by request; the same command goes on from here", Exit::stopped);
  }

 private:
  bool out_of_time() const { return request_.max_seconds > 0 && seconds_since(began_) > request_.max_seconds; }

  bool storage_is_there() const {
    std::error_code none;
    return std::filesystem::exists(request_.folder / sweep::kHeaderFile, none);
  }

  // Waits while the results folder is away, as network folders may be for a while.
  template <class Do>
  void patiently(Do&& act) {
    const auto first = Clock::now();
    for (bool again = false;;) {
      try {
        return act();
      } catch (const Error&) {
        const bool there = storage_is_there();
        if ((there && again) || Clock::now() - first > kPatience || StopRequest::flag()) throw;
        again = there;  // it may have come back since the failure
        if (!there) std::fprintf(stderr, "the results folder is away; waiting for it\n");
      }
      while (!storage_is_there() && Clock::now() - first < kPatience && !StopRequest::flag())
        std::this_thread::sleep_for(kLongestWait);
    }
  }

  Outcome attempt(const Step& step) {
    const auto start = Clock::now();
    const AbsenceWatch away([this] { return storage_is_there(); });
    Outcome out;
    try {
      out = run_trial(step);
    } catch (const Error& error) {
      if (error.exit() == Exit::usage || error.exit() == Exit::plugin) {
        patiently([&] { decider_.finish(own_.id(), step, {.end = Outcome::End::given_back, .why = error.what()}); });
        throw;  // every other trial would fail alike
      }
      out = {.end = Outcome::End::failed, .failure = "error", .why = error.what()};
    }
    if (out.end == Outcome::End::failed && away.seen()) {
      out.end = Outcome::End::given_back, out.why = "the results folder was away";
    }
    out.seconds = seconds_since(start);
    return out;
  }

  Plan plan_of(const Step& step) const {
    auto options = recipe_of(header_);
    options.resolve.arms = {step.trial.arm}, options.resolve.sweep = step.trial.values;
    auto quiet = program_;
    quiet.quiet = true;
    auto plan = options.plan(quiet, setup_.catalogue, true);
    if (plan.source != header_.source)
      throw Error("the recipe " + backquoted(header_.recipe) + " changed while its sweep runs; `xp sweep` says how",
                  Exit::usage);
    return plan;
  }

  Outcome run_trial(const Step& step) {
    const auto plan = plan_of(step);
    RunOptions options;
    options.results = program_.results_folder(), options.command = program_.command;
    options.quiet = true, options.tell_failure = true;
    options.below = request_.folder.filename().string();
    options.run = step.trial.name() + "-" + new_run_id();
    if (step.rung) {
      options.rest_at = sweep::watched_stage(plan, setup_.prune);
      options.rest_share = setup_.prune.rungs[static_cast<std::size_t>(*step.rung)];
    }
    options.max_seconds = setup_.rules.timeout;
    const double left = request_.max_seconds > 0 ? request_.max_seconds - seconds_since(began_) : 0;
    const bool by_worker = left > 0 && (options.max_seconds == 0 || left < options.max_seconds);
    if (by_worker) options.max_seconds = left;
    const auto summary = run_plan(plan, setup_.catalogue, options);
    if (summary.exit == Exit::ok) return judged(step, plan, summary);
    if (summary.failure.empty() || (summary.failure == "timeout" && by_worker)) {
      if (summary.failure.empty()) stop_asked = true;  // the engine's own handler took the signal
      return {.end = Outcome::End::given_back, .why = "its worker was stopped"};
    }
    return {.end = Outcome::End::failed, .failure = summary.failure, .why = summary.why};
  }

  Outcome judged(const Step& step, const Plan& plan, const RunSummary& summary) const {
    const Cache cache(program_.results_folder());
    std::string why;
    std::optional<double> value;
    Outcome out;
    if (summary.status == "rests") {
      out.end = Outcome::End::rung;
      value = sweep::value_at_rung(plan, setup_.prune, setup_.prune.rungs[static_cast<std::size_t>(*step.rung)],
                                   cache, &why);
    } else {
      out.file = summary.file.filename().string();
      value = sweep::goal_of(setup_.rules, *read_result(summary.file, &cache), &why);
    }
    if (!value) return {.end = Outcome::End::failed, .failure = "error", .why = why};
    const bool wanted = out.end == Outcome::End::rung || !setup_.rules.goal.empty();
    if (wanted && !std::isfinite(*value))
      return {.end = Outcome::End::failed, .failure = "non_finite", .why = "its number is " + number_text(*value)};
    out.value = *value;
    return out;
  }

  const Program& program_;
  const SweepSetup& setup_;
  const WorkRequest& request_;
  sweep::Header header_;
  sweep::Decider decider_;
  sweep::WorkerFile own_;
  CrashNote note_;
  Clock::time_point began_ = Clock::now();
  bool caught_up_ = false;
};

}  // namespace

struct StopRequest::Before {
  std::array<struct sigaction, 2> actions{};
};

StopRequest::StopRequest() : before_(std::make_unique<Before>()) {
  stop_asked = false;
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  sigaction(SIGINT, &action, &before_->actions[0]);
  sigaction(SIGTERM, &action, &before_->actions[1]);
}

StopRequest::~StopRequest() {
  sigaction(SIGINT, &before_->actions[0], nullptr);
  sigaction(SIGTERM, &before_->actions[1], nullptr);
}

const std::atomic<bool>& StopRequest::flag() { return stop_asked; }

void work_at_sweep(const Program& program, const SweepSetup& setup, const WorkRequest& request) {
  const StopRequest stops;
  Worker(program, setup, request).run();
}

std::string event_line(const sweep::Event& event, const sweep::TrialState& trial, const sweep::Rules& rules) {
  using Kind = sweep::Event::Kind;
  const auto name = trial.name() + "  ";
  const auto took = event.seconds > 0 ? "  " + duration_text(event.seconds) : std::string();
  switch (event.kind) {
    case Kind::trial: {
      std::string values;
      for (const auto& [key, value] : event.values) values += "  " + key + " = " + to_text(value);
      return name + "new" + values;
    }
    case Kind::done: return name + "done" + (rules.goal.empty() ? "" : "  " + short_number(event.value)) + took;
    case Kind::rung:
      return name + "rests at rung " + std::to_string(event.rung + 1) + "  " + short_number(event.value) + took;
    case Kind::go: return name + "goes on";
    case Kind::fail:
      return name + (trial.phase == sweep::TrialState::Phase::failed ? "failed" : "will be tried again") + "  " +
             event.word + ": " + event.text + took;
    case Kind::back: return name + "given back: " + event.text;
    case Kind::start:
    case Kind::prune: return {};
  }
  return {};
}

}  // namespace xp::program
