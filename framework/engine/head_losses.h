#pragma once
#include "api/model.h"

namespace xp {

/// Losses in nats of `gold`, int64 [n], under the logits of `hidden`, [n, d] on the same device: float64 [n] on the
/// CPU. Never holds the logits of all rows at once; on the CPU LibTorch's threads share the rows, without gradients.
at::Tensor head_losses(const Model& model, Weights weights, const at::Tensor& hidden, const at::Tensor& gold);

}  // namespace xp
