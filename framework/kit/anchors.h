#pragma once
// Tokens that both vocabularies have: what methods compare new tokens with.
#include <vector>

#include "kit/vocab_transfer.h"

namespace xp {

struct Anchor {
  TokenId target = 0, source = 0;
};

/// Rows of the plan that are an old token under a new id.
inline std::vector<Anchor> anchors_of(const MixPlan& plan) {
  std::vector<Anchor> out;
  for (std::size_t id = 0; id < plan.rows().size(); ++id)
    if (const auto& row = plan.rows()[id]; row.rule == kCopyRule && row.parts.size() == 1)
      out.push_back({static_cast<TokenId>(id), row.parts.front().source});
  return out;
}

}  // namespace xp
