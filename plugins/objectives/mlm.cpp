// Masked language modelling: tokens are hidden in the loader, the model is asked for them.

#include "api/objective.h"
#include "kit/batches.h"
#include "kit/masking.h"
#include "kit/torch_losses.h"
#include "plugin/plugin.h"

namespace {

class MaskedLanguageModel final : public xp::Objective {
 public:
  struct Params {
    double mask_rate = 0.15;
    std::vector<double> mix = {0.8, 0.1, 0.1};
    bool whole_words = false, accuracy = false;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens to predict.").min(0).max(1).schedulable();
      f.add(&Params::mix, "mix", "What becomes of them: shares of mask, random token, unchanged.");
      f.add(&Params::whole_words, "whole_words", "Whether words are chosen with all their tokens.");
      f.add(&Params::accuracy, "accuracy", "Whether to record the share of right first guesses.");
      f.gives("layout", "packed");
      f.needs("field", "ids");
      f.needs("field", "word", {{"whole_words", {"true"}}});
      f.needs("capability", "primary:bidirectional");
      f.needs("capability", "primary:logits");
      f.needs("reserved", "mask");
      f.gives("metric", "accuracy", "share", {{"accuracy", {"true"}}});
    }
  };

  explicit MaskedLanguageModel(Params p)
      : options_(xp::mask_options(p.mask_rate, p.mix, p.whole_words)), accuracy_(p.accuracy) {}

  void build(xp::BuildContext&) override {}
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate")
      options_ = xp::mask_options(value, {options_.mix.begin(), options_.mix.end()}, options_.whole_words);
  }
  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<xp::MaskTokens>(options_); }
  xp::Counts counts(const xp::Batch& batch) const override { return {{"mlm", batch.dense("labels").ge(0).sum(1)}}; }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto hidden = xp::labelled(batch.dense("labels"));
    const xp::ForwardInput in{.ids = batch.dense("masked_ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto logits = context.logits("primary", context.forward("primary", in, {.at = hidden.at}).picked);
    xp::StepResult result{.terms = {{"mlm", xp::cross_entropy_by_item(logits, hidden, batch.items())}}};
    if (accuracy_) {
      const auto right = logits.detach().argmax(-1).eq(hidden.labels);
      result.metrics.push_back({"accuracy", right.sum(), right.sum().new_full({}, right.numel())});
    }
    return result;
  }

 private:
  xp::MaskOptions options_;
  bool accuracy_;
};

}  // namespace

XP_PLUGIN(mlm) { registry.add<MaskedLanguageModel>("mlm", "Masked language modelling."); }
