// Up, then down in a straight line.
#include <algorithm>

#include "api/optimizer.h"
#include "plugin/plugin.h"

namespace {

class WarmupLinear final : public xp::Schedule {
 public:
  struct Params {
    double warmup = 0.06, end = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::warmup, "warmup", "Share of the stage in which the factor rises from 0 to 1.").min(0).max(1);
      f.add(&Params::end, "end", "Factor at the end.").min(0);
    }
  };
  explicit WarmupLinear(Params p) : p_(p) {}

  double at(double progress) const override {
    const double p = std::clamp(progress, 0.0, 1.0);
    if (p < p_.warmup) return p / p_.warmup;
    return p_.warmup < 1 ? p_.end + (1 - p_.end) * (1 - p) / (1 - p_.warmup) : 1;
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(warmup_linear) { registry.add<WarmupLinear>("warmup_linear", "Up, then down in a straight line."); }
