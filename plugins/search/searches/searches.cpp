#include "components.h"
#include "plugin/plugin.h"

XP_PLUGIN(searches) {
  xp::searches::add_grid(registry);
  xp::searches::add_list(registry);
  xp::searches::add_random(registry);
  xp::searches::add_tpe(registry);
  xp::searches::add_cma_es(registry);
  xp::searches::add_ask_tell(registry);
}
