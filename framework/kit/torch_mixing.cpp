
#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/ops.h"
#include "base/text.h"
#include "kit/mixing.h"
#include "kit/tensors.h"

namespace xp {
namespace {

void mix(const MixRow& row, const double* table, std::int64_t width, double* out) {
  std::fill_n(out, width, 0.0);
  for (const auto& part : row.parts) {
    const double* from = table + part.source * width;
    for (std::int64_t d = 0; d < width; ++d) out[d] += part.weight * from[d];
  }
}

}  // namespace

at::Tensor apply_plan(const MixPlan& plan, const at::Tensor& table, std::string_view role) {
  if (table.size(0) != plan.source_size())
    throw Error("a table of role " + backquoted(role) + " has " + std::to_string(table.size(0)) +
                " rows, the source vocabulary " + std::to_string(plan.source_size()) + " tokens");
  const auto from = table.detach().to(at::kDouble).contiguous();
  auto shape = from.sizes().vec();
  shape[0] = plan.target_size();
  auto out = ops::empty(shape, at::kDouble);
  const auto width = from.numel() / std::max<std::int64_t>(from.size(0), 1);
  auto* to = out.mutable_data_ptr<double>();
  const auto mean = from.mean(0).contiguous();
  const auto* numbers = from.const_data_ptr<double>();
  for (std::int64_t i = 0; i < plan.target_size(); ++i) {
    const auto& row = plan.rows()[static_cast<std::size_t>(i)];
    const auto dense = row.dense.find(role);
    if (dense != row.dense.end()) {
      if (std::ssize(dense->second) != width)
        throw Error("row " + std::to_string(i) + " has " + std::to_string(dense->second.size()) +
                    " numbers for role " + backquoted(role) + ", the table " + std::to_string(width));
      std::copy(dense->second.begin(), dense->second.end(), to + i * width);
    } else if (row.uniform) {
      std::copy_n(mean.const_data_ptr<double>(), width, to + i * width);
    } else if (!row.parts.empty()) {
      mix(row, numbers, width, to + i * width);
    } else {
      throw Error("row " + std::to_string(i) + " of the plan says nothing for role " + backquoted(role));
    }
  }
  return out.to(table.scalar_type());
}

PlanReport report(const MixPlan& plan, const std::vector<std::string>& copy_rules) {
  PlanReport out;
  std::vector<double> mass(static_cast<std::size_t>(plan.source_size()));
  bool convex = true;
  double uniform = 0;
  for (const auto& row : plan.rows()) {
    ++out.rules[row.rule];
    if (std::find(copy_rules.begin(), copy_rules.end(), row.rule) != copy_rules.end()) {
      ++out.copied;
      continue;
    }
    ++out.made;
    double sum = row.uniform ? 1 : 0;
    uniform += row.uniform ? 1 : 0;
    for (const auto& part : row.parts) {
      convex = convex && part.weight >= 0;
      sum += part.weight, mass[static_cast<std::size_t>(part.source)] += part.weight;
    }
    convex = convex && row.dense.empty() && std::abs(sum - 1) < 1e-6;
  }
  for (auto& m : mass) m += uniform / static_cast<double>(plan.source_size());
  if (convex) out.leak_bound = std::log1p(mass.empty() ? 0.0 : *std::max_element(mass.begin(), mass.end()));
  const double all = std::accumulate(mass.begin(), mass.end(), 0.0);
  const auto top = std::min<std::ptrdiff_t>(10, std::ssize(mass));
  std::partial_sort(mass.begin(), mass.begin() + top, mass.end(), std::greater<>());
  if (all > 0) out.hubness = std::accumulate(mass.begin(), mass.begin() + top, 0.0) / all;
  return out;
}

State plan_state(const MixPlan& plan) {
  std::vector<std::int64_t> start{0}, source, uniform;
  std::vector<float> weight;
  Strings rules;
  for (const auto& row : plan.rows()) {
    for (const auto& part : row.parts)
      source.push_back(part.source), weight.push_back(static_cast<float>(part.weight));
    start.push_back(std::ssize(source));
    uniform.push_back(row.uniform ? 1 : 0);
    rules.push_back(row.rule);
  }
  State state;
  state.set("row_start", Ints{start}), state.set("source", Ints{source}), state.set("weight", Floats{weight}),
      state.set("rule", rules), state.set("uniform", Ints{uniform});
  return state;
}

}  // namespace xp
