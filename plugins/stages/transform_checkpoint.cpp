
#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Makes one checkpoint from others, without training.
class TransformCheckpoint final : public xp::Stage {
 public:
  struct Params {
    std::vector<xp::Reference> model;
    std::optional<xp::Reference> from;
    std::unique_ptr<xp::CheckpointTransform> method;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "Checkpoints, in order; `name[*]` names all of a fan-out.")
          .artifact("checkpoint")
          .required();
      f.add(&Params::from, "from", "What they all started from, for methods that look at changes.")
          .artifact("checkpoint");
      f.add(&Params::method, "method", "What is done with them.").required();
      f.gives("output", "checkpoint", "checkpoint");
      f.gives("metric", "parameters", "numbers");
      f.draws();
    }
  };
  explicit TransformCheckpoint(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    std::vector<xp::Checkpoint> inputs;
    for (const auto& model : p_.model) inputs.push_back(context.checkpoint(model));
    std::vector<const xp::Checkpoint*> pointers;
    for (const auto& one : inputs) pointers.push_back(&one);
    std::optional<xp::Checkpoint> base;
    if (p_.from) base = context.checkpoint(*p_.from);
    std::vector<double> start;
    for (const auto& coefficient : p_.method->coefficients(inputs.size())) start.push_back(coefficient.start);
    context.progress(0, 1, "combining");
    const auto made =
        p_.method->apply(pointers, base ? &*base : nullptr, xp::ops::tensor(start, at::kFloat), context.random());
    double parameters = 0;
    for (const auto i : made.parameters.distinct())
      parameters += static_cast<double>(made.parameters.values[i].numel());
    context.recorder().metric("parameters", parameters, {.unit = "numbers"});
    context.save(made, &p_.model.front());
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(transform_checkpoint) {
  registry.add<TransformCheckpoint>("transform_checkpoint", "Makes one checkpoint from others, without training.");
}
