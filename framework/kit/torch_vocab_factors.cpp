#include <ATen/ops/linalg_svd.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "kit/tensors.h"
#include "kit/vocab_factors.h"

namespace xp {

Factorisation input_factors(const Parameters& weights, std::int64_t rank, FactorScale scale) {
  const auto inputs = weights.select("role:vocab.input");
  if (inputs.size() != 1)
    throw Error("a factorised vocabulary needs one input table, the model has " + count(inputs.size(), "table"));
  if (!weights.select("role:vocab.output").empty())
    throw Error("a factorised vocabulary needs tied tables; use rank = 0 for a model with an output table of its own",
                Exit::usage);
  const auto table = weights.values[inputs.front()].detach().to(at::kDouble);
  const auto most = std::min(table.size(0), table.size(1));
  if (rank > most)
    throw Error("rank " + std::to_string(rank) + " is above the table's " + std::to_string(most), Exit::usage);
  const auto [u, s, vt] = at::linalg_svd(table, false);
  auto left = u.narrow(1, 0, rank), right = vt.narrow(0, 0, rank);
  const auto values = s.narrow(0, 0, rank);
  if (scale == FactorScale::primitives) {
    right = right.mul(values.unsqueeze(1));
  } else {
    left = left.mul(values.sqrt().unsqueeze(0)), right = right.mul(values.sqrt().unsqueeze(1));
  }
  const auto numbers = [](const at::Tensor& t) {
    const auto flat = t.to(at::kFloat).contiguous();
    return std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
  };
  return {rank, numbers(left), numbers(right)};
}

at::Tensor coordinates_of(const Factorisation& factors) {
  return tensor_of(factors.coordinates, {std::ssize(factors.coordinates) / factors.rank, factors.rank});
}

std::vector<TableStatistics> factored_statistics(const Parameters& weights, const Factorisation& factors) {
  auto tables = vocab_statistics(weights);
  for (auto& table : tables)
    if (table.mean.size() > 1) table = statistics_of(coordinates_of(factors), table.role);
  return tables;
}

}  // namespace xp
