#include "sweep/trials.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/text.h"

namespace xp::sweep {
namespace {

using Phase = TrialState::Phase;

// A worker that dies tells nothing of its trial, unless it happens again and again.
constexpr std::int64_t kMostLost = 100;

}  // namespace

std::string TrialState::name() const {
  auto digits = std::to_string(number);
  if (digits.size() < 4) digits.insert(0, 4 - digits.size(), '0');
  std::string out = arm;
  for (char& c : out)
    if (c == '[' || c == ']') c = '_';
  return out + "-" + digits;
}

std::string_view phase_name(Phase phase) {
  constexpr std::string_view kNames[] = {"open", "running", "resting", "done", "failed", "pruned"};
  return kNames[static_cast<std::size_t>(phase)];
}

TrialState* Trials::find(const std::string& arm, std::int64_t number) {
  const auto found = by_name_.find({arm, number});
  return found == by_name_.end() ? nullptr : found->second;
}

TrialState& Trials::known(const Event& event) {
  if (auto* trial = find(event.arm, event.number)) return *trial;
  throw Error("the sweep's journal tells of trial " + std::to_string(event.number) + " of arm " +
                  backquoted(printable(event.arm)) + ", which nobody proposed",
              Exit::data);
}

bool Trials::gives_up(const TrialState& trial, const std::string& failure) const {
  const auto before = trial.failures.find(failure);
  const auto allowed = retries_.find(failure);
  return (before == trial.failures.end() ? 0 : before->second) >= (allowed == retries_.end() ? 0 : allowed->second);
}

TrialState& Trials::apply(const Event& event) {
  if (event.kind == Event::Kind::trial) {
    if (find(event.arm, event.number))
      throw Error("the sweep's journal proposes trial " + std::to_string(event.number) + " of arm " +
                      backquoted(printable(event.arm)) + " twice",
                  Exit::data);
    auto& fresh = all_.emplace_back();
    fresh.arm = event.arm, fresh.number = event.number, fresh.values = event.values;
    by_name_[{event.arm, event.number}] = &fresh;
    ++counts_[Phase::open];
    return fresh;
  }
  auto& trial = known(event);
  --counts_[trial.phase];
  trial.seconds += event.seconds, seconds_ += event.seconds;
  switch (event.kind) {
    case Event::Kind::trial: break;
    case Event::Kind::start: trial.phase = Phase::running, trial.by = event.by; break;
    case Event::Kind::rung:
      trial.phase = Phase::resting, trial.by.clear();
      trial.rungs.push_back(event.value);
      break;
    case Event::Kind::go:
      if (trial.phase == Phase::pruned) break;  // its search was told so and went on
      trial.phase = Phase::open, trial.passed = event.rung + 1;
      trial.to_end = trial.to_end || event.forced;
      break;
    case Event::Kind::done:
      trial.phase = Phase::done, trial.by.clear();
      trial.goal = event.value, trial.file = event.file;
      break;
    case Event::Kind::fail:
      trial.phase = gives_up(trial, event.word) ? Phase::failed : Phase::open;
      ++trial.failures[event.word];
      trial.by.clear(), trial.why = event.word + ": " + event.text;
      break;
    case Event::Kind::back:
      trial.phase = Phase::open, trial.by.clear();
      if (event.word == "lost" && ++trial.lost > kMostLost)
        trial.phase = Phase::failed, trial.why = "crash: its worker died " + std::to_string(trial.lost) + " times";
      break;
    case Event::Kind::prune: trial.phase = Phase::pruned; break;
  }
  ++counts_[trial.phase];
  return trial;
}

std::size_t Trials::count(Phase phase) const {
  const auto found = counts_.find(phase);
  return found == counts_.end() ? 0 : found->second;
}

std::string counts_text(const Trials& trials, std::string_view arm) {
  std::string out;
  for (const auto phase : {Phase::done, Phase::resting, Phase::pruned, Phase::running, Phase::open, Phase::failed}) {
    const auto n = std::count_if(trials.all().begin(), trials.all().end(), [&](const TrialState& trial) {
      return trial.phase == phase && (arm.empty() || trial.arm == arm);
    });
    if (n > 0) out += (out.empty() ? "" : ", ") + std::to_string(n) + " " + std::string(phase_name(phase));
  }
  return out;
}

std::vector<const TrialState*> ranking(const Trials& trials, const std::string& arm, bool higher) {
  std::vector<const TrialState*> out;
  for (const auto& trial : trials.all())
    if (trial.arm == arm && trial.phase == Phase::done) out.push_back(&trial);
  std::stable_sort(out.begin(), out.end(), [&](const TrialState* a, const TrialState* b) {
    if (std::isnan(a->goal) || std::isnan(b->goal)) return !std::isnan(a->goal) && std::isnan(b->goal);
    return a->goal != b->goal ? (a->goal < b->goal) != higher : a->number < b->number;
  });
  return out;
}

}  // namespace xp::sweep
