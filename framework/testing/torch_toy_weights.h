#pragma once
#include "api/parameters.h"
#include "testing/toy_encoder.h"

namespace xp::testing {

/// Tables [size, 4] and [size] with roles "vocab.input" and "vocab.bias"; a row depends on its token's text alone.
Parameters toy_weights(const ToyEncoder& source);

}  // namespace xp::testing
