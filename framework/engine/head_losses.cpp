#include "engine/head_losses.h"

#include <algorithm>

#include "api/ops.h"
#include "engine/passes.h"
#include "kit/torch_losses.h"

namespace xp {
namespace {

// Numbers. A product reads the whole table, so it takes many rows; what follows reads its own rows again and again,
// so it takes as many as stay in a core's caches.
constexpr std::int64_t kProduct = 8 << 20, kLosses = 1 << 18, kOnDevice = 16 << 20;

std::int64_t rows_of(std::int64_t numbers, std::int64_t classes) {
  return std::max<std::int64_t>(numbers / std::max<std::int64_t>(classes, 1), 1);
}

}  // namespace

at::Tensor head_losses(const Model& model, Weights weights, const at::Tensor& hidden, const at::Tensor& gold) {
  const auto n = hidden.size(0), classes = model.shape().classes;
  const bool cpu = hidden.is_cpu();
  const auto product = rows_of(cpu ? kProduct : kOnDevice, classes), some = cpu ? rows_of(kLosses, classes) : product;
  const auto out = ops::empty({n}, at::kDouble);
  const auto part = [&](std::size_t number) {
    const auto begin = static_cast<std::int64_t>(number) * product, end = std::min(begin + product, n);
    const auto logits = model.logits(weights, hidden.slice(0, begin, end));
    for (auto from = begin; from < end; from += some) {
      const auto to = std::min(from + some, end);
      out.slice(0, from, to).copy_(cross_entropy(logits.slice(0, from - begin, to - begin), gold.slice(0, from, to)));
    }
  };
  const auto parts = static_cast<std::size_t>((n + product - 1) / product);
  if (cpu)
    for_each_part(parts, part);
  else
    for (std::size_t i = 0; i < parts; ++i) part(i);
  return out;
}

}  // namespace xp
