#include "api/vocab_initializer.h"
#include "plugin/plugin.h"

namespace {

/// Every new row is the mean of all old rows.
class Mean final : public xp::VocabInitializer {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Mean(Params) {}

  void plan(const xp::VocabSetting&, xp::MixPlan& plan) override {
    for (const auto row : plan.open_rows()) plan.set_uniform_row(row, "mean");
  }
};

}  // namespace

XP_PLUGIN(mean) { registry.add<Mean>("mean", "Every new row is the mean of all old rows."); }
