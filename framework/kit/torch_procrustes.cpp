#include <ATen/ops/linalg_svd.h>

#include "kit/procrustes.h"

namespace xp {

at::Tensor procrustes(const at::Tensor& from, const at::Tensor& to) {
  const auto [u, values, vt] = at::linalg_svd(from.t().matmul(to), false);
  return u.matmul(vt);
}

}  // namespace xp
