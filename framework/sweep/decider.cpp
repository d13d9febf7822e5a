#include "sweep/decider.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/process.h"

namespace xp::sweep {

using Phase = TrialState::Phase;

namespace {

constexpr auto kLookAtWorkers = std::chrono::seconds(2);

Trial as_trial(const Event& event) {
  Trial out{event.number, {}};
  for (const auto& [key, value] : event.values) out.values.emplace(key, value);
  return out;
}

double oriented(double value, bool higher) { return higher ? -value : value; }

}  // namespace

/// One arm's search.
struct Decider::Study {
  std::string arm;
  std::unique_ptr<Search> search;
  std::unique_ptr<Pruner> pruner;
  std::int64_t proposed = 0;
};

Decider::Decider(std::filesystem::path folder, Rules rules, const Registry& registry, bool proposes)
    : folder_(std::move(folder)), rules_(std::move(rules)), registry_(registry), proposes_(proposes), book_(folder_) {
  reset();
}

Decider::~Decider() = default;

void Decider::reset() {
  book_ = Book(folder_);
  trials_ = std::make_unique<Trials>(rules_.retries);
  studies_.clear();
  for (const auto& arm : rules_.arms) {
    auto study = std::make_unique<Study>();
    study->arm = arm;
    study->search = registry_.make<Search>(rules_.method);
    study->search->start({arm, axes_of(rules_, arm), rules_.higher, RandomStreams(0, "sweep").child(arm)});
    if (!rules_.prune.empty()) {
      study->pruner = registry_.make<Pruner>(rules_.prune);
      prune_ = study->pruner->rule();
    }
    studies_.push_back(std::move(study));
  }
}

void Decider::take_in(const Event& event, bool own) {
  const auto found =
      std::find_if(studies_.begin(), studies_.end(), [&](const auto& s) { return s->arm == event.arm; });
  if (found == studies_.end())
    throw Error(backquoted(book_.file().string()) + " tells of arm " + backquoted(printable(event.arm)) +
                    ", which the recipe does not have",
                Exit::data);
  auto& study = **found;
  if (event.kind == Event::Kind::trial) {
    if (!own) study.search->adopt(as_trial(event));
    ++study.proposed;
  }
  if (event.kind == Event::Kind::go && !event.forced && !own) {
    const auto mine = study.pruner ? study.pruner->promote() : std::nullopt;
    if (mine != event.number)
      throw Error("the journal promotes trial " + std::to_string(event.number) + " of arm " + backquoted(event.arm) +
                      "; the pruner now promotes " + (mine ? "trial " + std::to_string(*mine) : "nothing"),
                  Exit::verdict);
  }
  const auto* before = trials_->find(event.arm, event.number);
  const bool over = before && before->ended();
  const auto& trial = trials_->apply(event);
  if (event.kind == Event::Kind::rung && study.pruner)
    study.pruner->tell(event.number, static_cast<std::size_t>(event.rung), oriented(event.value, prune_.higher));
  if (trial.ended() && !over) {
    TrialResult result{event.number, oriented(event.value, rules_.higher), trial.phase == Phase::done};
    if (std::isnan(result.goal)) result.goal = 0;
    if (!prune_.rungs.empty() && trial.phase == Phase::pruned)
      result.progress = prune_.rungs[static_cast<std::size_t>(trial.passed)];
    study.search->tell(result);
  }
  if (watch) watch(event, trial);
}

void Decider::catch_up() {
  for (const auto& event : book_.news()) take_in(event, false);
}

void Decider::write(Event event) {
  event.at = detail::utc_now();
  try {
    book_.append({event});
  } catch (...) {
    reset();  // the search has moved on and the journal has not
    throw;
  }
  take_in(event, true);
}

const Trials& Decider::look() {
  try {
    catch_up();
  } catch (...) {
    reset();
    throw;
  }
  return *trials_;
}

std::size_t Decider::replay() {
  reset();
  std::size_t decisions = 0;
  const auto before = std::exchange(watch, [&](const Event&, const TrialState&) { ++decisions; });
  try {
    catch_up();
  } catch (...) {
    watch = before;
    throw;
  }
  watch = before;
  return decisions;
}

Step Decider::next(const std::string& worker) {
  look();  // a search that works long on what others proposed shall not hold them up
  const auto lock = book_.lock();
  look();
  if (std::chrono::steady_clock::now() - looked_ > kLookAtWorkers) give_back_lost();
  for (;;) {
    if (auto step = open_trial(worker)) return *step;
    if (promote() || propose()) continue;
    if (trials_->count(Phase::running) > 0) {
      give_back_lost();
      if (trials_->count(Phase::open) == 0) return {};
    } else if (!release()) {
      break;
    }
  }
  const bool others_propose = std::any_of(studies_.begin(), studies_.end(), [&](const auto& study) {
    return !proposes_ && study->search->outside() && !study->search->finished();
  });
  return {.what = others_propose ? Step::What::wait : Step::What::end};
}

bool Decider::feed(std::size_t open) {
  const auto lock = book_.lock();
  look();
  while (trials_->count(Phase::open) < open && propose()) continue;
  return std::any_of(studies_.begin(), studies_.end(), [&](const auto& study) { return asks(*study); });
}

std::size_t Decider::reopen_failed() {
  const auto lock = book_.lock();
  look();
  std::vector<const TrialState*> failed;
  for (const auto& trial : trials_->all())
    if (trial.phase == Phase::failed) failed.push_back(&trial);
  for (const auto* trial : failed)
    write({.kind = Event::Kind::back, .arm = trial->arm, .number = trial->number, .text = "asked for again"});
  return failed.size();
}

std::optional<Step> Decider::started(const std::string& worker, const TrialState& trial) {
  Event event{.kind = Event::Kind::start, .arm = trial.arm, .number = trial.number};
  std::optional<std::int64_t> rung;
  if (!trial.to_end && trial.passed < std::ssize(prune_.rungs)) rung = trial.passed;
  event.rung = rung.value_or(-1), event.by = worker;
  write(event);
  return Step{Step::What::run, *trials_->find(trial.arm, trial.number), rung};
}

std::optional<Step> Decider::open_trial(const std::string& worker) {
  if (trials_->count(Phase::open) == 0) return std::nullopt;
  // Those that went furthest first: they hold the most work.
  const TrialState* best = nullptr;
  for (const auto& trial : trials_->all())
    if (trial.phase == Phase::open && (!best || trial.passed > best->passed)) best = &trial;
  return started(worker, *best);
}

bool Decider::promote() {
  for (const auto& study : studies_) {
    if (!study->pruner) continue;
    const auto number = study->pruner->promote();
    if (!number) continue;
    const auto* trial = trials_->find(study->arm, *number);
    if (!trial || (trial->phase != Phase::resting && trial->phase != Phase::pruned))
      throw Error("the pruner promotes trial " + std::to_string(*number) + ", which does not rest at a rung");
    write({.kind = Event::Kind::go, .arm = study->arm, .number = *number, .rung = trial->passed});
    return true;
  }
  return false;
}

bool Decider::asks(const Study& study) const {
  const bool spent = rules_.budget > 0 && trials_->seconds() >= rules_.budget;
  return !spent && !study.search->finished() && (proposes_ || !study.search->outside());
}

bool Decider::propose() {
  std::vector<Study*> order;
  for (const auto& study : studies_) order.push_back(study.get());
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->proposed < b->proposed; });
  for (auto* study : order) {
    if (!asks(*study)) continue;
    const auto trial = study->search->propose();
    if (!trial) continue;
    Table values;
    for (const auto& [key, value] : trial->values) values.emplace(key, value);
    write({.kind = Event::Kind::trial, .arm = study->arm, .number = trial->number, .values = std::move(values)});
    return true;
  }
  return false;
}

// Nothing runs, and nobody is promoted. A search that waits for results gets those of the trials at rest as pruned;
// at the end of an arm without a finished trial, the furthest goes on. Others stay at rest: a longer search may
// promote them.
bool Decider::release() {
  bool any = false;
  for (const auto& study : studies_) {
    std::vector<const TrialState*> resting;
    const TrialState* best = nullptr;
    bool done = false;
    for (const auto& trial : trials_->all()) {
      if (trial.arm != study->arm) continue;
      done = done || trial.phase == Phase::done;
      if (trial.phase != Phase::resting) continue;
      resting.push_back(&trial);
      const auto value = [&](const TrialState& t) { return oriented(t.rungs.back(), prune_.higher); };
      if (!best || trial.passed > best->passed || (trial.passed == best->passed && value(trial) < value(*best)))
        best = &trial;
    }
    if (resting.empty() || (done && !asks(*study))) continue;
    any = true;
    if (asks(*study))
      for (const auto* trial : resting)
        write({.kind = Event::Kind::prune, .arm = trial->arm, .number = trial->number});
    else
      write(
          {.kind = Event::Kind::go, .arm = best->arm, .number = best->number, .rung = best->passed, .forced = true});
  }
  return any;
}

void Decider::give_back_lost() {
  looked_ = std::chrono::steady_clock::now();
  const auto workers = folder_ / "workers";
  std::map<std::string, WorkerLook> seen;
  std::vector<const TrialState*> lost;
  for (const auto& trial : trials_->all()) {
    if (trial.phase != Phase::running) continue;
    const auto found = seen.try_emplace(trial.by);
    if (found.second) found.first->second = look_at_worker(workers, trial.by);
    if (!found.first->second.alive) lost.push_back(&trial);
  }
  for (const auto* trial : lost) {
    const auto& worker = seen.at(trial->by);
    Event event{.kind = Event::Kind::back, .arm = trial->arm, .number = trial->number};
    if (worker.crash.empty())
      event.word = "lost", event.text = "worker " + worker.id + " ended without a word";
    else
      event.kind = Event::Kind::fail, event.word = "crash", event.text = worker.crash;
    write(event);
  }
  for (const auto& [id, worker] : seen)
    if (!worker.alive) forget_worker(workers, id);
}

bool Decider::finish(const std::string& worker, const Step& step, const Outcome& outcome) {
  look();
  const auto lock = book_.lock();
  look();
  const auto* trial = trials_->find(step.trial.arm, step.trial.number);
  if (!trial || trial->phase != Phase::running || trial->by != worker) return false;
  Event event{.arm = step.trial.arm, .number = step.trial.number, .value = outcome.value};
  event.seconds = outcome.seconds;
  switch (outcome.end) {
    case Outcome::End::done: event.kind = Event::Kind::done, event.file = outcome.file; break;
    case Outcome::End::rung: event.kind = Event::Kind::rung, event.rung = step.rung.value_or(0); break;
    case Outcome::End::failed:
      event.kind = Event::Kind::fail, event.word = outcome.failure, event.text = outcome.why;
      break;
    case Outcome::End::given_back: event.kind = Event::Kind::back, event.text = outcome.why; break;
  }
  write(event);
  return true;
}

}  // namespace xp::sweep
