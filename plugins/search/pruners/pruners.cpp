#include "components.h"
#include "plugin/plugin.h"

XP_PLUGIN(pruners) {
  xp::pruners::add_asha(registry);
  xp::pruners::add_median(registry);
}
