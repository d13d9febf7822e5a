#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Measures a trained model, whole or at several sizes.
class Evaluate final : public xp::Stage {
 public:
  struct Params {
    xp::Reference model;
    std::vector<xp::NamedEvaluator> with;
    std::vector<std::vector<std::int64_t>> views;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "The checkpoint to measure.").artifact("checkpoint").required();
      f.add(&Params::with, "with", "Evaluators.").required();
      f.add(&Params::views, "views",
            "Sizes [layers, width] to measure instead of the whole model; metrics get [LAYERSxWIDTH].");
      f.draws();
    }
  };
  explicit Evaluate(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    if (p_.views.empty()) {
      const auto subject = context.handle(p_.model);
      context.evaluate(*subject, p_.with);
    }
    for (const auto& view : p_.views) {
      if (view.size() != 2) throw xp::Error("a view is [layers, width]");
      const auto subject = context.handle(p_.model, {view[0], view[1]});
      context.evaluate(*subject, p_.with, std::to_string(view[0]) + "x" + std::to_string(view[1]));
    }
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(evaluate) { registry.add<Evaluate>("evaluate", "Measures a trained model."); }
