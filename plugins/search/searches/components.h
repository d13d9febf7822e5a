#pragma once
#include "plugin/registry.h"

namespace xp::searches {

void add_grid(Registry& registry);
void add_list(Registry& registry);
void add_random(Registry& registry);
void add_tpe(Registry& registry);
void add_cma_es(Registry& registry);
void add_ask_tell(Registry& registry);

}  // namespace xp::searches
