#pragma once
// What of a training stage is kept beside its counters: weights, the best of them, and the parts with state.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/callback.h"
#include "api/constraint.h"
#include "api/objective.h"
#include "api/optimizer.h"

namespace xp {

/// The parts of a stage that have state; they outlive this.
struct StatefulParts {
  Optimizer& optimizer;
  Objective& objective;
  Transform* transform;  ///< may be null
  const std::vector<std::unique_ptr<Constraint>>& constraints;
  const std::vector<std::unique_ptr<Callback>>& callbacks;

  void save(State& out) const;
  void load(const State& in) const;
};

/// Weights that move during a stage, in one order, under their numbers.
void save_weights(const std::vector<at::Tensor>& moving, State& out);
/// Copies them back, without gradient.
void load_weights(const std::vector<at::Tensor>& moving, const State& in);

/// A copy of the weights at the best evaluation so far.
class BestWeights {
 public:
  /// Copies the weights and sets `best` if the metric `by` of `seen` is better than before. Throws Error if it is
  /// missing.
  void offer(const std::map<std::string, double>& seen, const std::string& by, bool higher,
             std::optional<double>& best, const std::vector<at::Tensor>& moving);
  void restore(const std::vector<at::Tensor>& moving) const;  ///< nothing without a best
  void save(State& out) const;
  void load(const State& in, std::size_t weights);

 private:
  std::vector<at::Tensor> values_;
};

}  // namespace xp
