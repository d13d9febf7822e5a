#pragma once
#include <span>

#include "base/random.h"

namespace xp {

/// Normal numbers of this mean and standard deviation, two for each two draws of `random` (Box and Muller 1958).
void fill_normal(std::span<float> out, double mean, double sd, RandomStream random);

}  // namespace xp
