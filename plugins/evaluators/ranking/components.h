#pragma once
#include "plugin/registry.h"

namespace xp::ranking {

void add_similarity(Registry& registry);
void add_retrieval(Registry& registry);
void add_rerank(Registry& registry);

}  // namespace xp::ranking
