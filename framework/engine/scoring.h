#pragma once
// Log-likelihoods of texts under a causal model.
#include <vector>

#include "api/evaluator.h"

namespace xp {

/// Texts that begin alike: what comes before `prefix` is read once for all.
struct SharedPrefix {
  std::vector<std::int64_t> rows;
  std::int64_t prefix = 0;  ///< tokens; 0: nothing is shared, and there is one row
};

/// Groups of the rows of `ids` ([items, time] int64 on the CPU). `first`: by row the first token that is scored, at
/// least 1, or 0 for a row that is left out. A prefix ends before the position that predicts the first scored token.
XP_API std::vector<SharedPrefix> shared_prefixes(const at::Tensor& ids, const std::vector<std::int64_t>& first);

/// Nats and number of the tokens of each item that are marked in `scored` ([items, time] bool), each given those
/// before it. `ids` and `mask` are [items, time]; a model with a cache reads what texts begin with once for all.
XP_API std::vector<Score> score_texts(const Model& model, Weights weights, const View& view, const at::Tensor& ids,
                                      const at::Tensor& mask, const at::Tensor& scored);

}  // namespace xp
