#pragma once
// Learning a few tensors inside a component; what a stage trains goes through its optimizer.
#include <vector>

#include "api/tensor.h"

namespace xp {

/// Adam (Kingma and Ba 2015) with its published constants and no weight decay.
class XP_API SmallAdam {
 public:
  /// Of leaves of one number type on one device that ask for gradients.
  SmallAdam(std::vector<at::Tensor> tensors, double lr);
  /// Moves each tensor that has a gradient by `scale` times the learning rate, and clears the gradients.
  void update(double scale = 1);

 private:
  std::vector<at::Tensor> tensors_, mean_, square_, steps_;
  double lr_;
};

}  // namespace xp
