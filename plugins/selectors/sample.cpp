#include <cmath>

#include "kit/selection.h"
#include "plugin/plugin.h"

namespace {

/// Draws documents one after the other without putting them back, each by softmax(score / temperature) over those
/// that are left, until the share is reached: the highest score / temperature + g with g from a standard Gumbel
/// distribution (Gumbel top-k, Kool et al. 2019; Wettig et al. 2024, QuRating, select data so).
class Sample final : public xp::Selector {
 public:
  struct Params {
    double keep = 0.5, temperature = 1;
    xp::ShareOf of = xp::ShareOf::documents;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::keep, "keep", "Share that is kept; the one that reaches it included.")
          .above(0)
          .max(1)
          .required();
      f.add(&Params::temperature, "temperature",
            "Difference of scores, in the scorer's unit, that makes a document e times as likely; near 0 the highest "
            "are kept, far above all are equal.")
          .above(0);
      f.add(&Params::of, "of", "What the share is of.",
            {{"documents", xp::ShareOf::documents}, {"bytes", xp::ShareOf::bytes}});
    }
  };
  explicit Sample(Params params) : p_(params) {}

  std::vector<bool> select(std::span<const xp::Scored> documents, xp::RandomStream random) const override {
    std::vector<double> keys;
    for (const auto& one : documents)
      keys.push_back(one.score / p_.temperature - std::log(-std::log(random.uniform())));
    return xp::keep_highest(keys, documents, p_.keep, p_.of);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(sample) {
  registry.add<Sample>("sample", "Draws a share, the likelier the higher the score, without putting back.");
}
