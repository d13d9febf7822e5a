// A stage that does next to nothing: what a sweep of such trials costs is the sweep's own.
#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

class Parabola final : public xp::Stage {
 public:
  struct Params {
    double x = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::x, "x", "Where the parabola is read.");
      f.gives("metric", "value");
    }
  };
  explicit Parabola(Params params) : p_(params) {}

  void run(xp::StageContext& context) override {
    context.recorder().metric("value", (p_.x - 2) * (p_.x - 2), {.unit = "none", .version = "1"});
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(parabola) { registry.add<Parabola>("parabola", "The square of the distance from 2."); }
