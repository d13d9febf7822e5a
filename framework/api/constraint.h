#pragma once
// Rules that hold during a stage: sparsity, freezing.
#include "base/random.h"
#include "schema/component.h"

namespace xp {

class Optimizer;
struct Parameters;
struct ParameterInfo;

/// "constraint". `all` is the same object in every call: parameters of all models and objectives of the stage, with
/// full names. The stage's end lifts the constraint; its saved state goes into the training state, not the weights.
class XP_API Constraint : public Component {
 public:
  static constexpr const char* kInterface = "constraint";
  ~Constraint() override;
  virtual void start(Parameters& all, const RandomStreams& random) = 0;  ///< after loading, before the first step
  virtual void after_backward(Parameters& all);                          ///< gradients are summed, not yet clipped
  virtual void after_update(Parameters& all, Optimizer& optimizer);
  virtual double density(const ParameterInfo& info) const;  ///< share of non-zeros, for FLOPs; 1 by default
};

}  // namespace xp
