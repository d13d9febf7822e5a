#pragma once
// How the made rows of a table lie to each other.
#include "api/tensor.h"
#include "api/vocab_initializer.h"

namespace xp::transfer {

struct Geometry {
  double pairwise_cosine = 0;  ///< mean over pairs of made rows; 0 with fewer than two
  double effective_rank = 0;   ///< exp of the entropy of the singular values' shares (Roy and Vetterli 2007, eq. 3)
  std::int64_t zero = 0;       ///< rows of zeros
  std::int64_t repeated = 0;   ///< rows that equal one before them
};

/// Of those rows of `table` [target, d] that the plan does not copy.
Geometry geometry_of(const MixPlan& plan, const at::Tensor& table);

}  // namespace xp::transfer
