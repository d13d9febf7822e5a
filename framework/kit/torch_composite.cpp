#include <algorithm>

#include "api/evaluator.h"
#include "base/text.h"
#include "kit/chain.h"
#include "kit/composite.h"

namespace xp {

CompositeObjective::~CompositeObjective() = default;

void CompositeObjective::add(std::string name, const std::unique_ptr<Objective>& part) {
  if (!part) throw Error(backquoted(name) + " is none; an objective is needed");
  parts_.push_back({std::move(name), part.get(), 1});
}

void CompositeObjective::add(const std::vector<Weighted<Objective>>& terms) {
  for (const auto& term : terms) add(term.name, term.part), parts_.back().weight = term.weight;
}

void CompositeObjective::build(BuildContext& context) {
  for (auto& part : parts_) part.objective->build(context.child(part.name));
}

std::unique_ptr<Transform> CompositeObjective::input_transform() {
  auto chain = std::make_unique<Chain>();
  for (auto& part : parts_)
    if (auto own = part.objective->input_transform()) chain->add(part.name, std::move(own));
  if (chain->size() == 0) return nullptr;
  return chain;
}

void CompositeObjective::set(std::string_view parameter, double value) {
  for (auto& part : parts_)
    if (parameter.starts_with(part.name + ".")) part.objective->set(parameter.substr(part.name.size() + 1), value);
}

bool CompositeObjective::batch_coupled() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.objective->batch_coupled(); });
}

Counts CompositeObjective::counts(const Batch& batch) const {
  Counts all;
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    if (!runs(k, batch)) continue;
    Batch own;
    append(all, parts_[k].objective->counts(seen_by(k, batch, own)), parts_[k].name);
  }
  return all;
}

StepResult CompositeObjective::step(const Batch& batch, StepContext& context) {
  StepResult all;
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    if (!runs(k, batch)) continue;
    Batch own;
    const auto child = context.child(parts_[k].name);
    append(all, parts_[k].objective->step(seen_by(k, batch, own), *child), parts_[k].name, parts_[k].weight);
  }
  return all;
}

bool CompositeObjective::runs(std::size_t, const Batch&) const { return true; }
const Batch& CompositeObjective::seen_by(std::size_t, const Batch& batch, Batch&) const { return batch; }

std::unique_ptr<Handle> CompositeObjective::handle(std::shared_ptr<StepContext> context, Handle& plain) {
  for (auto& part : parts_)
    if (auto own = part.objective->handle(context->child(part.name), plain)) return own;
  return nullptr;
}

void CompositeObjective::save(State& state) const {
  for (const auto& part : parts_) part.objective->save(state.child(part.name));
}

void CompositeObjective::load(const State& state) {
  for (auto& part : parts_) part.objective->load(state.child(part.name));
}

}  // namespace xp
