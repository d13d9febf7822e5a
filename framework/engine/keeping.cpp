#include "engine/keeping.h"

#include <c10/core/GradMode.h>

#include "base/text.h"

namespace xp {
namespace {

template <class Part>
void save_all(const std::vector<std::unique_ptr<Part>>& parts, const char* name, State& out) {
  for (std::size_t k = 0; k < parts.size(); ++k) parts[k]->save(out.child(name).child(std::to_string(k)));
}

template <class Part>
void load_all(const std::vector<std::unique_ptr<Part>>& parts, const char* name, const State& in) {
  for (std::size_t k = 0; k < parts.size(); ++k) parts[k]->load(in.child(name).child(std::to_string(k)));
}

}  // namespace

void StatefulParts::save(State& out) const {
  optimizer.save(out.child("optimizer"));
  objective.save(out.child("objective"));
  if (transform) transform->save(out.child("transform"));
  save_all(constraints, "constraint", out), save_all(callbacks, "callback", out);
}

void StatefulParts::load(const State& in) const {
  optimizer.load(in.child("optimizer"));
  objective.load(in.child("objective"));
  if (transform) transform->load(in.child("transform"));
  load_all(constraints, "constraint", in), load_all(callbacks, "callback", in);
}

void save_weights(const std::vector<at::Tensor>& moving, State& out) {
  for (std::size_t k = 0; k < moving.size(); ++k) out.set(std::to_string(k), moving[k].detach());
}

void load_weights(const std::vector<at::Tensor>& moving, const State& in) {
  const at::NoGradGuard quiet;
  for (std::size_t k = 0; k < moving.size(); ++k) moving[k].copy_(in.tensor(std::to_string(k)));
}

void BestWeights::offer(const std::map<std::string, double>& seen, const std::string& by, bool higher,
                        std::optional<double>& best, const std::vector<at::Tensor>& moving) {
  const auto found = seen.find(by);
  if (found == seen.end()) {
    Strings names;
    for (const auto& [name, value] : seen) names.push_back(name);
    throw Error("`keep.by` names " + backquoted(by) + "; the evaluators give " + listed(names));
  }
  if (best && !(higher ? found->second > *best : found->second < *best)) return;
  best = found->second;
  values_.clear();
  for (const auto& value : moving) values_.push_back(value.detach().clone());
}

void BestWeights::restore(const std::vector<at::Tensor>& moving) const {
  const at::NoGradGuard quiet;
  for (std::size_t k = 0; k < values_.size(); ++k) moving[k].copy_(values_[k]);
}

void BestWeights::save(State& out) const {
  for (std::size_t k = 0; k < values_.size(); ++k) out.child("best").set(std::to_string(k), values_[k]);
}

void BestWeights::load(const State& in, std::size_t weights) {
  if (!in.has("best")) return;
  for (std::size_t k = 0; k < weights; ++k) values_.push_back(in.child("best").tensor(std::to_string(k)));
}

}  // namespace xp
