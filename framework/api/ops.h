#pragma once
// LibTorch's functions that are no methods of a tensor. Their own headers cost a compiler five seconds a file.
#include <initializer_list>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "api/tensor.h"
#include "base/export.h"

namespace xp::ops {

using at::IntArrayRef;
using at::Scalar;
using at::Tensor;
using at::TensorOptions;
using MaybeTensor = std::optional<Tensor>;

// Each does what the function of its name in at:: does.
XP_API Tensor empty(IntArrayRef shape, const TensorOptions& options = {});
XP_API Tensor zeros(IntArrayRef shape, const TensorOptions& options = {});
XP_API Tensor ones(IntArrayRef shape, const TensorOptions& options = {});
XP_API Tensor full(IntArrayRef shape, const Scalar& value, const TensorOptions& options = {});
XP_API Tensor arange(const Scalar& end, const TensorOptions& options = {});
XP_API Tensor arange(const Scalar& start, const Scalar& end, const TensorOptions& options = {});
XP_API Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step, const TensorOptions& options = {});
XP_API Tensor tensor(const std::vector<std::int64_t>& values, const TensorOptions& options = at::kLong);
XP_API Tensor tensor(const std::vector<double>& values, const TensorOptions& options = at::kFloat);
template <class T>
Tensor tensor(std::initializer_list<T> values,
              const TensorOptions& options = std::is_integral_v<T> ? at::kLong : at::kFloat) {
  using Wide = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  return tensor(std::vector<Wide>(values.begin(), values.end()), options);
}
XP_API Tensor cat(at::ArrayRef<Tensor> tensors, std::int64_t dim = 0);
XP_API Tensor stack(at::ArrayRef<Tensor> tensors, std::int64_t dim = 0);

/// The `activation` (none, gelu, gelu_tanh, silu or relu) of the product; on the CPU one pass over the outputs, where
/// nothing of it is differentiated.
XP_API Tensor linear(const Tensor& x, const Tensor& weight, const MaybeTensor& bias = {},
                     std::string_view activation = "");
XP_API Tensor embedding(const Tensor& weight, const Tensor& ids);
XP_API Tensor gelu(const Tensor& x, std::string_view approximate = "none");
XP_API Tensor silu(const Tensor& x);
XP_API Tensor log_sigmoid(const Tensor& x);
XP_API Tensor layer_norm(const Tensor& x, IntArrayRef shape, const MaybeTensor& weight = {},
                         const MaybeTensor& bias = {}, double epsilon = 1e-5);
XP_API Tensor rms_norm(const Tensor& x, IntArrayRef shape, const MaybeTensor& weight, double epsilon);
/// Without dropout. `shared_heads`: several query heads to one of keys and values.
XP_API Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const MaybeTensor& mask,
                                           bool causal, bool shared_heads);
XP_API Tensor constant_pad_nd(const Tensor& x, IntArrayRef pad, const Scalar& value = 0);
/// By element, not reduced; `target` is 0 to 1, of the logits' shape and type.
XP_API Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target);

}  // namespace xp::ops
