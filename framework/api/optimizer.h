#pragma once
// Optimizers and schedules.
#include <vector>

#include "schema/component.h"

namespace at {
class Tensor;
}

namespace xp {

/// Tensors that are treated alike; made by the framework from roles, layers and the recipe's policy.
struct ParameterGroup {
  std::vector<const at::Tensor*> tensors;  ///< each distinct tensor once; gradients in .grad()
  double lr_scale = 1;
  double weight_decay = 0;
};

/// How the framework makes the groups: no decay for norms and biases, layer i of n scaled by layer_decay^(n - i).
struct OptimizerPolicy {
  double lr = 1e-3;
  double weight_decay = 0;
  double layer_decay = 1;
};

/// "optimizer": one fused update of all groups.
class XP_API Optimizer : public Component {
 public:
  static constexpr const char* kInterface = "optimizer";
  ~Optimizer() override;
  virtual OptimizerPolicy policy() const = 0;
  virtual void start(std::vector<ParameterGroup> groups) = 0;
  virtual void update(double lr) = 0;  ///< missing gradients leave their tensor alone
  /// State shaped like `tensor` (moments), for constraints; empty before the first update.
  virtual std::vector<at::Tensor> state_of(const at::Tensor& tensor) = 0;
};

/// "schedule": a factor over a stage. Drives the learning rate and any parameter declared schedulable.
class XP_API Schedule : public Component {
 public:
  static constexpr const char* kInterface = "schedule";
  ~Schedule() override;
  virtual double at(double progress) const = 0;  ///< progress in [0, 1] of the stage's stop rule
};

}  // namespace xp
