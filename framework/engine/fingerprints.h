#pragma once
// Hashes of what training reads and holds: two runs that differ in one bit differ in one of them.
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "api/batch.h"
#include "api/parameters.h"

namespace xp {

/// Goes on from `before` with ids, names and contents of all columns; padding and the order of items count.
std::uint64_t fingerprint(const Batch& batch, std::uint64_t before);
/// Of type, shape and content.
std::uint64_t fingerprint(const at::Tensor& tensor);

/// Where they go. Either may be empty: then nothing is hashed for it.
struct FingerprintSink {
  std::function<void(std::int64_t step, std::uint64_t hash)> batch;
  std::function<void(std::int64_t step, std::string_view tensor, std::uint64_t hash)> weight;
};

/// Steps after which weights are hashed, beside the last: 0, powers of two, each hundredth. They depend on nothing
/// else, so that runs which stopped at different moments can be compared.
bool weights_due(std::int64_t step);
/// All that moves: trained tensors by their names, then averages by their number.
void record_weights(const FingerprintSink& to, std::int64_t step, const Parameters& all,
                    const std::vector<Param>& distinct, const std::vector<at::Tensor>& averages);

}  // namespace xp
