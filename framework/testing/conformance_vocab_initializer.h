#pragma once
#include <string>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) with small vocabularies: rows set once and only open ones, weights finite and sources in range,
/// what is set before stays; the same twice; ids permuted on either side permute the plan; id 0 is a token like any
/// other. Those that read vectors, weights or a corpus are skipped: their own tests have to provide them.
void check_vocab_initializer(const Registry& registry, const std::string& type);

}  // namespace xp::testing
