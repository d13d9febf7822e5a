#pragma once
#include <string>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) on a small corpus and a table of nasty texts: ids and offsets in range and in order, words that do
/// not go back, standard purposes reserved and left out by decode, the same vocabulary when fitted twice, the same ids
/// after restore(json()), keys that name special tokens by purpose, pieces of own tokens.
void check_tokenizer(const Registry& registry, const std::string& type);

/// Empty text, blanks, combining marks, scripts without blanks, emoji, control characters, invalid UTF-8.
const std::vector<std::string>& conformance_texts();

}  // namespace xp::testing
