
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "api/ops.h"
#include "base/text.h"
#include "kit/mixing.h"
#include "kit/tensors.h"

namespace xp {
namespace {

/// Rows of a table of any number type; only those that are asked for are read.
class Rows {
 public:
  explicit Rows(const at::Tensor& table) : table_(table), width_(table.size(0) ? table.numel() / table.size(0) : 0) {}

  std::int64_t width() const { return width_; }
  void add(std::int64_t row, double weight, std::vector<double>& out) const {
    switch (table_.scalar_type()) {
      case at::kFloat: return add<float>(row, weight, out);
      case at::kDouble: return add<double>(row, weight, out);
      case at::kBFloat16: return add<at::BFloat16>(row, weight, out);
      case at::kHalf: return add<at::Half>(row, weight, out);
      default: throw Error("a vocabulary table holds no floating-point numbers");
    }
  }
  void put(const std::vector<double>& numbers, std::int64_t row) {
    switch (table_.scalar_type()) {
      case at::kFloat: return put<float>(numbers, row);
      case at::kDouble: return put<double>(numbers, row);
      case at::kBFloat16: return put<at::BFloat16>(numbers, row);
      case at::kHalf: return put<at::Half>(numbers, row);
      default: throw Error("a vocabulary table holds no floating-point numbers");
    }
  }
  /// The row as it stands, to the bit.
  void copy_from(const Rows& other, std::int64_t from, std::int64_t to) {
    const auto size = static_cast<std::size_t>(width_) * table_.element_size();
    std::memcpy(static_cast<char*>(table_.mutable_data_ptr()) + static_cast<std::size_t>(to) * size,
                static_cast<const char*>(other.table_.const_data_ptr()) + static_cast<std::size_t>(from) * size,
                size);
  }

 private:
  template <class T>
  void add(std::int64_t row, double weight, std::vector<double>& out) const {
    const auto* from = table_.const_data_ptr<T>() + row * width_;
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += weight * static_cast<double>(static_cast<Wide>(from[d]));
  }
  template <class T>
  void put(const std::vector<double>& numbers, std::int64_t row) {
    auto* to = table_.mutable_data_ptr<T>() + row * width_;
    for (std::size_t d = 0; d < numbers.size(); ++d) to[d] = static_cast<T>(numbers[d]);
  }

  at::Tensor table_;
  std::int64_t width_;
};

}  // namespace

at::Tensor apply_plan(const MixPlan& plan, const at::Tensor& table, std::string_view role) {
  if (table.size(0) < plan.source_size())
    throw Error("a table of role " + backquoted(role) + " has " + std::to_string(table.size(0)) +
                " rows, the source vocabulary " + std::to_string(plan.source_size()) + " tokens");
  const auto old = table.detach().cpu().contiguous();
  const Rows from(old);
  auto shape = old.sizes().vec();
  shape[0] = plan.target_size();
  auto out = ops::empty(shape, old.scalar_type());
  Rows to(out);
  const auto width = static_cast<std::size_t>(from.width());
  std::vector<double> mean, numbers(width);
  for (std::int64_t i = 0; i < plan.target_size(); ++i) {
    const auto& row = plan.rows()[static_cast<std::size_t>(i)];
    const auto dense = row.dense.find(role);
    std::fill(numbers.begin(), numbers.end(), 0.0);
    if (dense != row.dense.end()) {
      if (dense->second.size() != width)
        throw Error("row " + std::to_string(i) + " has " + std::to_string(dense->second.size()) +
                    " numbers for role " + backquoted(role) + ", the table " + std::to_string(width));
      std::copy(dense->second.begin(), dense->second.end(), numbers.begin());
    } else if (row.uniform) {
      if (mean.empty()) {
        mean.assign(width, 0.0);
        for (std::int64_t j = 0; j < plan.source_size(); ++j)
          from.add(j, 1 / static_cast<double>(plan.source_size()), mean);
      }
      numbers = mean;
    } else if (row.parts.size() == 1 && row.parts.front().weight == 1) {
      to.copy_from(from, row.parts.front().source, i);
      continue;
    } else if (!row.parts.empty()) {
      for (const auto& part : row.parts) from.add(part.source, part.weight, numbers);
    } else {
      throw Error("row " + std::to_string(i) + " of the plan says nothing for role " + backquoted(role));
    }
    to.put(numbers, i);
  }
  return out;
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
