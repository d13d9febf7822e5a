#pragma once
// A picture of where the rows of a new vocabulary lie among the old ones.
#include <string>

#include "api/tensor.h"
#include "api/vocab_initializer.h"

namespace xp {

/// SVG: rows of both tables [old tokens or more, width] and [new tokens or more, width] on the two directions in
/// which the old rows spread most (principal components), new ones coloured by what made them, copied ones left out.
/// Of each kind at most 1500 rows are drawn, evenly over the ids. Throws Error if a table has fewer than two columns.
std::string vocabulary_figure(const at::Tensor& old_rows, const at::Tensor& new_rows, const MixPlan& plan);

}  // namespace xp
