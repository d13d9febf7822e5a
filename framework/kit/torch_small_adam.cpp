#include <ATen/ops/_fused_adamw.h>
#include <c10/core/GradMode.h>

#include "api/ops.h"
#include "kit/small_adam.h"

namespace xp {

SmallAdam::SmallAdam(std::vector<at::Tensor> tensors, double lr) : tensors_(std::move(tensors)), lr_(lr) {
  for (const auto& x : tensors_) {
    mean_.push_back(x.new_zeros(x.sizes())), square_.push_back(x.new_zeros(x.sizes()));
    steps_.push_back(ops::zeros({}, x.options().dtype(at::kFloat)));
  }
}

void SmallAdam::update(double scale) {
  const at::NoGradGuard quiet;
  std::vector<at::Tensor> x, g, mean, square, steps;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (!tensors_[i].grad().defined()) continue;
    x.push_back(tensors_[i].detach());  // shares memory; the update is no part of any graph
    g.push_back(tensors_[i].grad().contiguous());
    mean.push_back(mean_[i]), square.push_back(square_[i]), steps.push_back(steps_[i].add_(1));
    tensors_[i].mutable_grad() = at::Tensor();
  }
  if (!x.empty()) at::_fused_adamw_(x, g, mean, square, {}, steps, lr_ * scale, 0.9, 0.999, 0, 1e-8, false, false);
}

}  // namespace xp
