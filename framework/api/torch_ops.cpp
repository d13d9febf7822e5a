#include <ATen/ops/arange.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "api/ops.h"

namespace xp::ops {

Tensor empty(IntArrayRef shape, const TensorOptions& options) { return at::empty(shape, options); }
Tensor zeros(IntArrayRef shape, const TensorOptions& options) { return at::zeros(shape, options); }
Tensor ones(IntArrayRef shape, const TensorOptions& options) { return at::ones(shape, options); }
Tensor full(IntArrayRef shape, const Scalar& value, const TensorOptions& options) {
  return at::full(shape, value, options);
}
Tensor arange(const Scalar& end, const TensorOptions& options) { return at::arange(end, options); }
Tensor arange(const Scalar& start, const Scalar& end, const TensorOptions& options) {
  return at::arange(start, end, options);
}
Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step, const TensorOptions& options) {
  return at::arange(start, end, step, options);
}
Tensor tensor(const std::vector<std::int64_t>& values, const TensorOptions& options) {
  return at::tensor(values, options);
}
Tensor tensor(const std::vector<double>& values, const TensorOptions& options) { return at::tensor(values, options); }
Tensor cat(at::ArrayRef<Tensor> tensors, std::int64_t dim) { return at::cat(tensors, dim); }
Tensor stack(at::ArrayRef<Tensor> tensors, std::int64_t dim) { return at::stack(tensors, dim); }

Tensor embedding(const Tensor& weight, const Tensor& ids) { return at::embedding(weight, ids); }
Tensor gelu(const Tensor& x, std::string_view approximate) { return at::gelu(x, approximate); }
Tensor silu(const Tensor& x) { return at::silu(x); }
Tensor log_sigmoid(const Tensor& x) { return at::log_sigmoid(x); }
Tensor layer_norm(const Tensor& x, IntArrayRef shape, const MaybeTensor& weight, const MaybeTensor& bias,
                  double epsilon) {
  return at::layer_norm(x, shape, weight, bias, epsilon);
}
Tensor rms_norm(const Tensor& x, IntArrayRef shape, const MaybeTensor& weight, double epsilon) {
  return at::rms_norm(x, shape, weight, epsilon);
}
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const MaybeTensor& mask,
                                    bool causal, bool shared_heads) {
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, std::nullopt, shared_heads);
}
Tensor constant_pad_nd(const Tensor& x, IntArrayRef pad, const Scalar& value) {
  return at::constant_pad_nd(x, pad, value);
}
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target) {
  return at::binary_cross_entropy_with_logits(logits, target, {}, {}, at::Reduction::None);
}

}  // namespace xp::ops
