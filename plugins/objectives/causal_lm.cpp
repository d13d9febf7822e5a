// Next-token prediction.
#include "api/objective.h"
#include "kit/torch_losses.h"
#include "plugin/plugin.h"

namespace {

class CausalLanguageModel final : public xp::Objective {
 public:
  enum class LossOn : std::uint8_t { all, target };
  struct Params {
    LossOn loss_on = LossOn::all;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::loss_on, "loss_on",
            "Predict every token but the first, or those that the field `target` marks; without it, a second text's.",
            {{"all", LossOn::all}, {"target", LossOn::target}});
      f.gives("layout", "packed");
      f.needs("field", "ids");
      f.needs("field", "segment", {{"loss_on", {"target"}}});
      f.needs("capability", "primary:causal");
      f.needs("capability", "primary:logits");
    }
  };

  explicit CausalLanguageModel(Params p) : p_(p) {}

  void build(xp::BuildContext&) override {}
  xp::Counts counts(const xp::Batch& batch) const override { return {{"causal_lm", predicted(batch).sum(1)}}; }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto& ids = batch.dense("ids");
    const auto time = ids.size(1);
    // Labels stand where they are predicted from: one token earlier.
    const auto next = ids.slice(1, 1).masked_fill(predicted(batch).logical_not(), -1);
    auto labels = ids.new_full({ids.size(0), time}, -1);
    if (time > 1) labels.narrow(1, 0, time - 1).copy_(next);
    const auto from = xp::labelled(labels);
    const xp::ForwardInput in{
        .ids = ids, .mask = batch.dense("input.mask"), .causal = true, .sample_id = batch.sample_id};
    const auto logits = context.logits("primary", context.forward("primary", in, {.at = from.at}).picked);
    return {.terms = {{"causal_lm", xp::cross_entropy_by_item(logits, from, batch.items())}}};
  }

 private:
  /// Which of the tokens 1, 2, ... are predicted: [items, time - 1], bool.
  at::Tensor predicted(const xp::Batch& batch) const {
    const auto& mask = batch.dense("input.mask");
    const auto time = mask.size(1);
    auto both = mask.slice(1, 1).logical_and(mask.slice(1, 0, std::max<std::int64_t>(time - 1, 0)));
    if (batch.has("packed.position")) both = both.logical_and(batch.dense("packed.position").slice(1, 1).gt(0));
    if (p_.loss_on == LossOn::target) {
      const auto& marks = batch.dense(batch.has("target") ? "target" : "segment");
      both = both.logical_and(marks.slice(1, 1).ne(0));
    }
    return both;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(causal_lm) { registry.add<CausalLanguageModel>("causal_lm", "Next-token prediction."); }
