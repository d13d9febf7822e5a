#pragma once
// Frozen models that a training stage compares with, by role: whole ones, and those of which predictions are stored.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/evaluator.h"
#include "engine/session.h"

namespace xp {

/// A frozen model as evaluators use it, and what its passes cost since the last call.
struct FrozenModel {
  std::unique_ptr<Handle> handle;
  std::function<double()> flops;
};

class References {
 public:
  struct Host {
    std::function<Checkpoint(const Reference&)> checkpoint;
    std::function<State(const Reference&)> predictions;
    std::function<FrozenModel(const Reference&)> open;
    at::Device device = at::kCPU;
  };
  /// Reads what the roles name. Throws Error for predictions that do not fit together.
  References(const std::map<std::string, Reference>& wanted, Host host);
  ~References();

  /// Adds the whole ones, for passes by role.
  void add_to(Session& session) const;
  /// Those whose role fits, in order of roles.
  std::vector<const Checkpoint*> fitting(std::string_view pattern) const;
  /// Classes of the field that a reference predicts; empty: none does. Throws Error if two of them differ.
  Strings categories(std::string_view field) const;
  /// [items, classes] without gradient. Adds the cost of passes to `flops`. Throws Error if the role predicts no such
  /// field, or an item is not among stored predictions.
  at::Tensor predict(std::string_view role, const Batch& batch, std::string_view field, double& flops);

 private:
  struct Stored;
  struct One;
  One& at(std::string_view role);

  Host host_;
  std::map<std::string, One, std::less<>> all_;
};

}  // namespace xp
