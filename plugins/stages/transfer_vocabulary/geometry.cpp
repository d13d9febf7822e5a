#include "geometry.h"

#include <ATen/ops/linalg_eigvalsh.h>

#include <cmath>
#include <string_view>
#include <unordered_set>

#include "kit/tensors.h"
#include "kit/torch_operators.h"
#include "kit/vocab_transfer.h"

namespace xp::transfer {
namespace {

/// Of rows given by their matrix of inner products, whose eigenvalues are the squares of the singular values.
double effective_rank(const at::Tensor& rows) {
  const auto values = at::linalg_eigvalsh(rows.transpose(0, 1).matmul(rows)).clamp_min(0).sqrt();
  const auto sum = values.sum().item<double>();
  if (sum <= 0) return 0;
  const auto shares = values / sum;
  return std::exp(-(shares * shares.clamp_min(1e-300).log()).sum().item<double>());
}

}  // namespace

Geometry geometry_of(const MixPlan& plan, const at::Tensor& table) {
  std::vector<std::int64_t> ids;
  for (std::size_t id = 0; id < plan.rows().size(); ++id)
    if (plan.rows()[id].rule != kCopyRule) ids.push_back(static_cast<std::int64_t>(id));
  Geometry out;
  if (ids.empty()) return out;
  const auto rows = table.index_select(0, tensor_of(ids)).to(at::kDouble).contiguous();
  const auto n = rows.size(0), width = rows.size(1);
  const auto norms = rows.norm(2, 1, true);
  out.zero = norms.eq(0).sum().item<std::int64_t>();
  const auto unit = rows / norms.clamp_min(1e-300);
  const auto together = unit.sum(0).square().sum().item<double>();
  const auto alone = static_cast<double>(n - out.zero);
  if (n > 1) out.pairwise_cosine = (together - alone) / (static_cast<double>(n) * static_cast<double>(n - 1));
  out.effective_rank = effective_rank(rows);
  std::unordered_set<std::string_view> seen;
  const auto* bytes = reinterpret_cast<const char*>(rows.const_data_ptr<double>());
  const auto size = static_cast<std::size_t>(width) * sizeof(double);
  for (std::int64_t i = 0; i < n; ++i)
    out.repeated += !seen.emplace(bytes + static_cast<std::size_t>(i) * size, size).second;
  return out;
}

}  // namespace xp::transfer
