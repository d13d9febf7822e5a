#pragma once
#include "plugin/registry.h"

namespace xp::pruners {

void add_asha(Registry& registry);
void add_median(Registry& registry);

}  // namespace xp::pruners
