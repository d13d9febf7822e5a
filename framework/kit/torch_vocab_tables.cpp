
#include <cmath>
#include <numbers>

#include "kit/vocab_tables.h"

namespace xp {

const Parameters& weights_of(const VocabSetting& setting) {
  if (!setting.weights) throw Error("this initializer reads the old model's tables, and there is no model");
  return *setting.weights;
}

TableStatistics statistics_of(const at::Tensor& table, std::string role) {
  const auto rows = table.detach().to(at::kDouble).reshape({table.size(0), -1});
  const auto mean = rows.mean(0).contiguous(), sd = rows.std(0, false).contiguous();
  TableStatistics out{std::move(role), {}, {}};
  out.mean.assign(mean.const_data_ptr<double>(), mean.const_data_ptr<double>() + mean.numel());
  out.sd.assign(sd.const_data_ptr<double>(), sd.const_data_ptr<double>() + sd.numel());
  return out;
}

std::vector<Param> vocab_params(const Parameters& weights) {
  auto out = weights.distinct();
  std::erase_if(out, [&](Param i) { return !weights.info[i].role.starts_with("vocab."); });
  return out;
}

std::vector<TableStatistics> vocab_statistics(const Parameters& weights) {
  std::vector<TableStatistics> out;
  for (const auto i : vocab_params(weights)) out.push_back(statistics_of(weights.values[i], weights.info[i].role));
  return out;
}

void set_normal_row(MixPlan& plan, TokenId row, const std::vector<TableStatistics>& tables, double scale,
                    RandomStream random, std::string_view rule, std::string_view note) {
  for (const auto& table : tables) {
    std::vector<float> numbers(table.mean.size());
    const bool bias = table.mean.size() == 1;
    for (std::size_t d = 0; d < numbers.size(); ++d) {
      const double radius = std::sqrt(-2 * std::log(random.uniform())),
                   angle = 2 * std::numbers::pi * random.uniform();
      numbers[d] = static_cast<float>(table.mean[d] + (bias ? 0 : scale * table.sd[d] * radius * std::cos(angle)));
    }
    plan.set_dense_row(row, table.role, numbers, rule, note);
  }
}

}  // namespace xp
