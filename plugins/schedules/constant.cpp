// The same all the time.
#include "api/optimizer.h"
#include "plugin/plugin.h"

namespace {

class Constant final : public xp::Schedule {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Constant(Params) {}
  double at(double) const override { return 1; }
};

}  // namespace

XP_PLUGIN(constant) { registry.add<Constant>("constant", "The same all the time."); }
