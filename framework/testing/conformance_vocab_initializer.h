#pragma once
#include <functional>
#include <string>

#include "plugin/registry.h"

namespace xp {
struct Parameters;
}

namespace xp::testing {

class ToyEncoder;

/// Weights of a model with this source vocabulary; they must depend on a token's text, not on its id.
using WeightsFor = std::function<const Parameters*(const ToyEncoder& source)>;

/// Checks (Catch2) with small vocabularies: rows set once and only open ones, weights finite and sources in range,
/// what is set before stays; the same twice; ids permuted on either side permute the plan; id 0 is a token like any
/// other. Without `weights`, only initializers are asked whose library does without LibTorch; those that read word
/// vectors are left to their own tests.
void check_vocab_initializer(const Registry& registry, const std::string& type, const WeightsFor& weights = {});

}  // namespace xp::testing
