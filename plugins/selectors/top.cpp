#include "kit/selection.h"
#include "plugin/plugin.h"

namespace {

/// Keeps the share with the highest scores; of equal scores the first.
class Top final : public xp::Selector {
 public:
  struct Params {
    double keep = 0.5;
    xp::ShareOf of = xp::ShareOf::documents;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::keep, "keep", "Share that is kept; the one that reaches it included.")
          .above(0)
          .max(1)
          .required();
      f.add(&Params::of, "of", "What the share is of.",
            {{"documents", xp::ShareOf::documents}, {"bytes", xp::ShareOf::bytes}});
    }
  };
  explicit Top(Params params) : p_(params) {}

  std::vector<bool> select(std::span<const xp::Scored> documents, xp::RandomStream) const override {
    std::vector<double> keys;
    for (const auto& one : documents) keys.push_back(one.score);
    return xp::keep_highest(keys, documents, p_.keep, p_.of);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(top) { registry.add<Top>("top", "Keeps the share with the highest scores."); }
