#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <c10/core/GradMode.h>

#include "api/ops.h"
#include "base/error.h"

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
  if (x.dim() < 2 || x.numel() < kLeastRows * x.size(-1) || weight.dim() != 2 || x.size(-1) != weight.size(1) ||
      !x.is_cpu() || !multiplies(type) || !plain_cpu(weight, type) || (bias && !plain_cpu(*bias, type)))
    return false;
  return !c10::GradMode::is_enabled() ||
         (!x.requires_grad() && !weight.requires_grad() && !(bias && bias->requires_grad()));
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

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const MaybeTensor& bias, std::string_view activation) {
  const auto& known = activation_of(activation);
  const auto* fused = fused_linear();
  if (!fused || !fits(x, weight, bias)) return activated(at::linear(x, weight, bias), known);
  return fused->call(x, weight, bias, known.fused, c10::List<std::optional<Scalar>>(), known.algorithm);
}

}  // namespace xp::ops
