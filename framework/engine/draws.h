#pragma once
// Uniform numbers of many streams at once, the same on every device.
#include <vector>

#include "api/tensor.h"
#include "base/random.h"

namespace xp {

/// Row i holds the first `per_item` numbers of stream i, [streams, per_item] float32 in (0, 1), on `device`.
at::Tensor uniform_rows(const std::vector<RandomStream>& streams, std::int64_t per_item, at::Device device);

/// The same computed with tensor operations; what other devices than the CPU do.
at::Tensor uniform_rows_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item, at::Device device);

/// Row i holds the first `per_item` numbers of stream i as the bits of int64, [streams, per_item] on `device`.
at::Tensor numbers_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item, at::Device device);

}  // namespace xp
