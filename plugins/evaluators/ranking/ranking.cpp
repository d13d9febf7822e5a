// Evaluators over pairs of texts.
#include "components.h"
#include "plugin/plugin.h"

XP_PLUGIN(ranking) {
  xp::ranking::add_similarity(registry);
  xp::ranking::add_retrieval(registry);
  xp::ranking::add_rerank(registry);
}
