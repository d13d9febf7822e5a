#pragma once
// A batch that is compared as a whole, in passes over parts of it: forward passes run without gradients, the loss
// gives gradients of their outputs, and each part is run again to hand them on (gradient caching, Gao et al. 2021,
// section 3).
#include <functional>
#include <string>
#include <vector>

#include "api/model.h"

namespace xp {

class PassCache {
 public:
  using Run = std::function<ForwardOutput(const ForwardInput&, const ForwardRequest&)>;

  explicit PassCache(std::int64_t items) : items_(items) {}

  /// The outputs of the whole batch, from parts of so many items. Throws Error if the input has a gradient to hand
  /// on, as that of a pass over another's output has.
  ForwardOutput forward(const ForwardInput& in, const ForwardRequest& want, Run run);
  /// Runs the parts again, each with the gradients that its outputs got; `before` is called first for each.
  void backward(const std::function<void()>& before);

 private:
  struct Pass {
    ForwardInput in;
    ForwardRequest want;
    Run run;
    ForwardOutput out;  ///< leaves of the graph
  };
  std::int64_t items_;
  std::vector<Pass> passes_;
};

}  // namespace xp
