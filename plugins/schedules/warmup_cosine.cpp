// Up, then down by half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "api/optimizer.h"
#include "plugin/plugin.h"

namespace {

class WarmupCosine final : public xp::Schedule {
 public:
  struct Params {
    double warmup = 0.06, end = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::warmup, "warmup", "Share of the stage in which the factor rises from 0 to 1.").min(0).max(1);
      f.add(&Params::end, "end", "Factor at the end.").min(0);
    }
  };
  explicit WarmupCosine(Params p) : p_(p) {}

  double at(double progress) const override {
    const double p = std::clamp(progress, 0.0, 1.0);
    if (p < p_.warmup) return p / p_.warmup;
    if (p_.warmup >= 1) return 1;
    const double share = (p - p_.warmup) / (1 - p_.warmup);
    return p_.end + (1 - p_.end) * 0.5 * (1 + std::cos(std::numbers::pi * share));
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(warmup_cosine) { registry.add<WarmupCosine>("warmup_cosine", "Up, then down by half a cosine."); }
