#pragma once
// Spaces of vectors brought together.
#include "api/tensor.h"
#include "base/export.h"

namespace xp {

/// The orthogonal R [d, d] that minimises |from R - to|, for pairs of rows [n, d] of one floating type: U V^T of the
/// singular vectors of from^T to (Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem").
XP_API at::Tensor procrustes(const at::Tensor& from, const at::Tensor& to);

}  // namespace xp
