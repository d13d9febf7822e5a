#pragma once
#include <string>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) on a small corpus and the nasty texts, by the rules of tokenizer_checks.h; beside them: the
/// standard purposes and those asked for are reserved and left out by decode, fitting twice gives the same file, a
/// file that is none is refused.
void check_tokenizer(const Registry& registry, const std::string& type);

}  // namespace xp::testing
