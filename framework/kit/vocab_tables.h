#pragma once
// Statistics of a model's vocabulary tables, and rows drawn from them.
#include "api/parameters.h"
#include "api/vocab_initializer.h"

namespace xp {

struct TableStatistics {
  std::string role;              ///< "vocab.input", "vocab.output", "vocab.bias"
  std::vector<double> mean, sd;  ///< per dimension; a bias has one
};

/// The source model's weights; throws Error if the setting has none.
XP_API const Parameters& weights_of(const VocabSetting& setting);
/// The places of tables with role "vocab.*", tied ones once.
XP_API std::vector<Param> vocab_params(const Parameters& weights);
/// Of each of vocab_params().
XP_API std::vector<TableStatistics> vocab_statistics(const Parameters& weights);
XP_API TableStatistics statistics_of(const at::Tensor& table, std::string role);
/// Sets a row to normal numbers with each table's mean and `scale` times its standard deviation; a bias gets its
/// mean.
XP_API void set_normal_row(MixPlan& plan, TokenId row, const std::vector<TableStatistics>& tables, double scale,
                           RandomStream random, std::string_view rule, std::string_view note = {});

}  // namespace xp
