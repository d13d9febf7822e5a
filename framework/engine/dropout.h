#pragma once
// Dropout whose draws belong to items, so that how a batch is split changes nothing.
#include <vector>

#include "api/tensor.h"
#include "base/random.h"

namespace xp {

/// x with each element dropped with probability `rate`, in [0, 1), and else divided by 1 - rate. Row i of its first
/// axis draws from streams[i], the same on every device: element k is dropped if half k mod 2 (high, low) of number
/// k / 2 is below rate * 2^32. Of four axes each row of the last has a stream of its own, by its item and its places
/// on the two between, so that attention weights draw the same however far texts are padded. Differentiable; one byte
/// per element is kept for the gradient.
at::Tensor keyed_dropout(const at::Tensor& x, double rate, const std::vector<RandomStream>& streams);

/// What is kept, bool [streams, per_item], by tensor operations: what other devices than the CPU do.
at::Tensor kept_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item, double rate,
                          at::Device device);

}  // namespace xp
