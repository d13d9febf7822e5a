#pragma once
// A pass over many texts as several smaller ones of like length.
#include <functional>
#include <vector>

#include "api/model.h"
#include "base/export.h"

namespace xp {

/// Items that one pass reads, and how many of their times.
struct PassPart {
  std::vector<std::int64_t> rows;
  std::int64_t time = 0;
};

/// The next of the eight lengths between two powers of two: oneDNN compiles products for each shape.
std::int64_t common_length(std::int64_t length);

/// Items of these lengths, the longest first, in parts of at most `tokens` padded tokens or of one item. Times are
/// common lengths, but not above `most`.
XP_API std::vector<PassPart> parts_of(const std::vector<std::int64_t>& lengths, std::int64_t tokens,
                                      std::int64_t most);

/// Padded tokens of one part where all have `tokens`: what a core's caches hold, and less where threads would starve.
std::int64_t part_tokens(std::int64_t tokens);

/// fn(0) to fn(n - 1) without gradients, each on one of LibTorch's threads if there are several; the first exception
/// is thrown. A part runs on one thread, so no number depends on how many there are.
void for_each_part(std::size_t n, const std::function<void(std::size_t)>& fn);

/// Whether forward_in_parts() serves it: on the CPU, for outputs that are rows.
bool splits(const ForwardInput& in, const ForwardRequest& want);

/// What one pass over ids, mask and segments, if there are some ([items, time], all on the CPU), gives for `pooled`
/// or `picked`. Times behind an item's last key are not computed, so `at` must not ask for them.
XP_API ForwardOutput forward_in_parts(const Model& model, Weights weights, const ForwardInput& in,
                                      const ForwardRequest& want);

}  // namespace xp
