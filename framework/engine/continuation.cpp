#include "engine/continuation.h"

#include <algorithm>
#include <utility>

#include "engine/trainer.h"

namespace xp {
namespace {

Counters plus(Counters a, const Counters& b) {
  a.steps += b.steps, a.input_tokens += b.input_tokens, a.supervised_tokens += b.supervised_tokens;
  a.items += b.items, a.bytes += b.bytes, a.epochs += b.epochs, a.seconds += b.seconds;
  a.flops += b.flops, a.flops_effective += b.flops_effective, a.memory = std::max(a.memory, b.memory);
  return a;
}

}  // namespace

Continued::Continued(const TrainRequest& request, const TrainingHost& host) : what_(request.continues) {
  if (!what_.any()) return;
  const auto* from = request.model ? std::get_if<Reference>(&*request.model) : nullptr;
  if (!from)
    throw Error("`continues` takes over from the stage that `model` names, and this stage starts a new model");
  kept_ = host.kept_state(*from);
  before_.load(std::as_const(kept_).child("progress"));
}

void Continued::start(Optimizer& optimizer) {
  if (what_.optimizer) optimizer.load(std::as_const(kept_).child("optimizer"));
  kept_ = State();
}

LoaderPosition Continued::position(std::size_t parts) const {
  if (!what_.random) return {};
  auto at = before_.position;
  if (at.epoch.size() != parts)
    throw Error("`continues` asks for the order of data of the stage before, which read " +
                std::to_string(at.epoch.size()) + " parts; this one reads " + std::to_string(parts));
  at.batches = 0;  // counts this stage's own steps
  return at;
}

double Continued::schedule(const TrainRequest& request, const Counters& own) const {
  const auto& length = request.schedule_length ? *request.schedule_length : request.stop;
  return std::min(progress_of(length, what_.schedule ? plus(own, before_.counters) : own), 1.0);
}

void Continued::keep(const TrainingState& own, const Optimizer& optimizer, State& out) const {
  auto all = own;
  if (what_.schedule || what_.random) all.counters = plus(own.counters, before_.counters);
  all.save(out.child("progress"));
  optimizer.save(out.child("optimizer"));
}

}  // namespace xp
