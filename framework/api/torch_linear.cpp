#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>

#include "api/ops.h"
#include "base/error.h"
#include "base/wide.h"

namespace xp::ops {
namespace {

constexpr std::int64_t kLeastRows = 4;  // below, the product is a read of the weights and the plain call is faster

using FusedLinear = Tensor(const Tensor&, const Tensor&, const MaybeTensor&, std::string_view,
                           c10::List<std::optional<Scalar>>, std::optional<std::string_view>);

/// oneDNN's product with what follows it, which LibTorch has for compiled graphs only; null where it was built
/// without.
const c10::TypedOperatorHandle<FusedLinear>* fused_linear() {
  static const auto found = [] {
    std::optional<c10::TypedOperatorHandle<FusedLinear>> out;
    if (!at::hasMKLDNN()) return out;
    const auto known = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (known && known->hasKernelForDispatchKey(c10::DispatchKey::CPU)) out = known->typed<FusedLinear>();
    return out;
  }();
  return found ? &*found : nullptr;
}

bool multiplies(at::ScalarType type) {
#if defined(__x86_64__)
  return type == at::kFloat || (type == at::kBFloat16 && __builtin_cpu_supports("avx512bf16"));
#else
  return type == at::kFloat;
#endif
}

bool plain_cpu(const Tensor& x, at::ScalarType type) {
  return x.is_cpu() && x.scalar_type() == type && x.layout() == at::kStrided && x.is_contiguous();
}

bool fits(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  const auto type = x.scalar_type();
  return x.dim() >= 2 && x.numel() >= kLeastRows * x.size(-1) && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
         x.is_cpu() && multiplies(type) && plain_cpu(weight, type) && (!bias || plain_cpu(*bias, type));
}

bool differentiates(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  return c10::GradMode::is_enabled() &&
         (x.requires_grad() || weight.requires_grad() || (bias && bias->requires_grad()));
}

struct Activation {
  std::string_view name, fused, algorithm;  // fused: oneDNN's name of it
};
constexpr Activation kActivations[] = {{"", "none", ""},
                                       {"gelu", "gelu", "none"},
                                       {"gelu_tanh", "gelu", "tanh"},
                                       {"silu", "swish", ""},
                                       {"relu", "relu", ""}};

const Activation& activation_of(std::string_view name) {
  for (const auto& one : kActivations)
    if (one.name == name) return one;
  throw Error("activation `" + std::string(name) + "` is none of gelu, gelu_tanh, silu and relu");
}

Tensor activated(const Tensor& x, const Activation& activation) {
  if (activation.fused == "gelu") return at::gelu(x, activation.algorithm);
  if (activation.fused == "swish") return at::silu(x);
  return activation.fused == "relu" ? x.relu() : x;
}

XP_WIDE void sum_columns(const c10::BFloat16* x, std::int64_t rows, std::int64_t stride, std::int64_t n,
                         float* sums) {
  std::fill_n(sums, n, 0.0F);
  for (std::int64_t row = 0; row < rows; ++row, x += stride)
    for (std::int64_t i = 0; i < n; ++i) sums[i] += std::bit_cast<float>(std::uint32_t{x[i].x} << 16);
}

/// Sums of the rows of `x`, bfloat16 [rows, n], made in float32: [n], in a third of the time of LibTorch's.
Tensor column_sums(const Tensor& x) {
  constexpr std::int64_t kColumns = 1024;  // whose sums stay in the nearest cache
  const auto rows = x.size(0), n = x.size(1);
  auto sums = ops::empty({n}, x.options().dtype(at::kFloat));
  const auto* numbers = x.const_data_ptr<c10::BFloat16>();
  auto* made = sums.mutable_data_ptr<float>();
  at::parallel_for(0, n, kColumns, [&](std::int64_t begin, std::int64_t end) {
    for (; begin < end; begin += kColumns)
      sum_columns(numbers + begin, rows, n, std::min(kColumns, end - begin), made + begin);
  });
  return sums.to(x.scalar_type());
}

/// x weightᵀ + bias of bfloat16 in one pass where LibTorch's own writes the bias into each row first; the same bits.
struct BiasedLinear final : torch::autograd::Function<BiasedLinear> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
    context->save_for_backward({x, weight});
    return fused_linear()->call(x, weight, bias, "none", c10::List<std::optional<Scalar>>(), "");
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto gradient = gradients[0].flatten(0, -2).contiguous();
    torch::autograd::variable_list out(3);
    if (context->needs_input_grad(0)) out[0] = gradient.mm(saved[1]).view(saved[0].sizes());
    if (context->needs_input_grad(1)) out[1] = gradient.t().mm(saved[0].flatten(0, -2));
    if (context->needs_input_grad(2))
      out[2] = c10::GradMode::is_enabled() ? gradient.sum(0) : column_sums(gradient);  // differentiated once more
    return out;
  }
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const MaybeTensor& bias, std::string_view activation) {
  const auto& known = activation_of(activation);
  const auto* fused = fused_linear();
  if (!fused || !fits(x, weight, bias)) return activated(at::linear(x, weight, bias), known);
  if (differentiates(x, weight, bias)) {
    const bool own = bias && x.scalar_type() == at::kBFloat16;
    return activated(own ? BiasedLinear::apply(x, weight, *bias) : at::linear(x, weight, bias), known);
  }
  return fused->call(x, weight, bias, known.fused, c10::List<std::optional<Scalar>>(), known.algorithm);
}

}  // namespace xp::ops
