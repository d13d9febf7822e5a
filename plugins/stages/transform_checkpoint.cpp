#include <utility>

#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "api/stage.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

/// Makes one checkpoint from others, without training.
class TransformCheckpoint final : public xp::Stage {
 public:
  struct Params {
    std::vector<xp::Reference> model;
    std::optional<xp::Reference> from, tokenizer;
    std::unique_ptr<xp::CheckpointTransform> method;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "Checkpoints, in order; `name[*]` names all of a fan-out.")
          .artifact("checkpoint")
          .required();
      f.add(&Params::from, "from", "What they all started from, for methods that look at changes.")
          .artifact("checkpoint");
      f.add(&Params::method, "method", "What is done with them; none: a single one stays as it is.");
      f.add(&Params::tokenizer, "tokenizer",
            "The result's tokenizer; none: the first checkpoint's. For model files that hold none.")
          .artifact("tokenizer");
      f.gives("output", "checkpoint", "checkpoint");
      f.gives("metric", "parameters", "numbers");
      f.draws();
    }
  };
  explicit TransformCheckpoint(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    std::vector<xp::Checkpoint> inputs;
    for (const auto& model : p_.model) inputs.push_back(context.checkpoint(model));
    std::optional<xp::Checkpoint> base;
    if (p_.from) base = context.checkpoint(*p_.from);
    context.progress(0, 1, "combining");
    const auto made = combined(inputs, base ? &*base : nullptr, context.random());
    const auto& tokens_from = p_.tokenizer ? *p_.tokenizer : p_.model.front();
    if (p_.tokenizer) check_fit(made, context.tokenizer(tokens_from).get());
    double parameters = 0;
    for (const auto i : made.parameters.distinct())
      parameters += static_cast<double>(made.parameters.values[i].numel());
    context.recorder().metric("parameters", parameters, {.unit = "numbers"});
    context.save(made, &tokens_from);
  }

 private:
  /// Takes what it needs of `inputs`.
  xp::Checkpoint combined(std::vector<xp::Checkpoint>& inputs, const xp::Checkpoint* base,
                          const xp::RandomStreams& random) const {
    if (!p_.method && inputs.size() == 1) return std::move(inputs.front());
    if (!p_.method) throw xp::Error("several checkpoints need a `method` that makes one of them", xp::Exit::usage);
    std::vector<const xp::Checkpoint*> pointers;
    for (const auto& one : inputs) pointers.push_back(&one);
    std::vector<double> start;
    for (const auto& coefficient : p_.method->coefficients(inputs.size())) start.push_back(coefficient.start);
    return p_.method->apply(pointers, base, xp::ops::tensor(start, at::kFloat), random);
  }

  // Tables may have spare rows behind the last token, as padded ones do.
  void check_fit(const xp::Checkpoint& made, const xp::Encoder* encoder) const {
    if (!encoder) throw xp::Error(xp::backquoted(p_.tokenizer->text) + " holds no tokenizer", xp::Exit::data);
    for (const auto i : made.parameters.select("role:vocab.input"))
      if (const auto rows = made.parameters.values[i].size(0); rows < encoder->size())
        throw xp::Error("the tokenizer " + xp::backquoted(p_.tokenizer->text) + " has " +
                            std::to_string(encoder->size()) + " tokens, the model a table of " +
                            std::to_string(rows) + " rows",
                        xp::Exit::data);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(transform_checkpoint) {
  registry.add<TransformCheckpoint>("transform_checkpoint", "Makes one checkpoint from others, without training.");
}
