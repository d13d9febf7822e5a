#pragma once
// Lengths of rows: means of nearly orthogonal rows are shorter than the rows themselves.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "api/tensor.h"
#include "api/vocab_initializer.h"

namespace xp {

enum class NormMatch : std::uint8_t {
  none,
  mean,           ///< the mean norm of the old input rows
  median,         ///< their median
  script_median,  ///< the median of those old rows whose token is written in the new token's script, else of all
};

/// Names of a `norm` parameter.
inline std::vector<std::pair<std::string, NormMatch>> norm_names() {
  return {{"none", NormMatch::none},
          {"mean", NormMatch::mean},
          {"median", NormMatch::median},
          {"script_median", NormMatch::script_median}};
}

/// Scales mixes of input rows, and only those: a longer output row takes probability from old tokens.
class XP_API RowNorms {
 public:
  /// Reads the old input table unless `match` is none. Throws Error if there is no such table.
  RowNorms(const VocabSetting& setting, NormMatch match);
  /// Makes input tables mix the plan's row from its parts times what gives it the wanted norm; a mix of norm 0 stays.
  void apply(MixPlan& plan, TokenId row) const;

 private:
  const VocabSetting& setting_;
  NormMatch match_;
  at::Tensor table_;  // [source tokens, width] in the model's number type
  double wanted_ = 0;
  std::map<std::string, double> by_script_;
};

}  // namespace xp
