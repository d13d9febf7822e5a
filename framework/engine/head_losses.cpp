#include "engine/head_losses.h"

#include <algorithm>

#include "api/ops.h"
#include "engine/passes.h"
#include "kit/torch_losses.h"

namespace xp {
namespace {

constexpr std::int64_t kLogits = 8 << 20, kOnDevice = 16 << 20;  ///< at a time

}  // namespace

at::Tensor head_losses(const Model& model, Weights weights, const at::Tensor& hidden, const at::Tensor& gold) {
  const auto n = hidden.size(0), classes = model.shape().classes;
  const bool cpu = hidden.is_cpu();
  const auto rows = std::max<std::int64_t>((cpu ? kLogits : kOnDevice) / std::max<std::int64_t>(classes, 1), 1);
  const auto out = ops::empty({n}, at::kDouble);
  const auto part = [&](std::size_t number) {
    const auto begin = static_cast<std::int64_t>(number) * rows, end = std::min(begin + rows, n);
    const auto logits = model.logits(weights, hidden.slice(0, begin, end));
    out.slice(0, begin, end).copy_(cross_entropy(logits, gold.slice(0, begin, end)));
  };
  const auto parts = static_cast<std::size_t>((n + rows - 1) / rows);
  if (cpu)
    for_each_part(parts, part);
  else
    for (std::size_t i = 0; i < parts; ++i) part(i);
  return out;
}

}  // namespace xp
