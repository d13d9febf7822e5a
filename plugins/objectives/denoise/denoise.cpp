// Denoising with an encoder-decoder: spans are cut out of the text and asked for.
#include "answer.h"
#include "base/text.h"
#include "corrupt.h"
#include "kit/torch_losses.h"
#include "plugin/plugin.h"

namespace xp::denoise {
namespace {

/// Mean negative log likelihood of the target's tokens, sentinels and end among them, given those before and the
/// source.
class Denoise final : public Objective {
 public:
  using Params = Settings;
  explicit Denoise(Params p) : p_(p) {
    if (!(p_.rate > 0 && p_.rate < 1))
      throw Error("`rate` is " + number_text(p_.rate) + "; a share above 0 and below 1 is needed");
    if (p_.span < 1) throw Error("`span` is " + std::to_string(p_.span) + "; 1 or more is needed");
  }

  void build(BuildContext& context) override { reserved_ = Reserved(context, p_.mode); }
  std::unique_ptr<Transform> input_transform() override { return std::make_unique<Corrupt>(p_); }
  bool same_step(const Objective& other) const override { return dynamic_cast<const Denoise*>(&other); }
  Counts counts(const Batch& batch) const override { return {{"target", batch.dense("target.mask").sum(1)}}; }

  StepResult step(const Batch& batch, StepContext& context) override {
    const auto &source = batch.dense("source_ids"), &target = batch.dense("target_ids");
    const auto& mask = batch.dense("source.mask");
    const auto wanted = labelled(target.masked_fill(batch.dense("target.mask").logical_not(), -1));
    const Passes passes{context, reserved_, batch.sample_id};
    const auto logits = passes.predict(passes.read(source, mask), mask, target, wanted.at);
    return {.terms = {{"target", cross_entropy_by_item(logits, wanted, batch.items())}}};
  }

  std::unique_ptr<Handle> handle(std::shared_ptr<StepContext> context, Handle& plain) override {
    return make_handle(std::move(context), plain, reserved_);
  }

 private:
  Params p_;
  Reserved reserved_;
};

}  // namespace
}  // namespace xp::denoise

XP_PLUGIN(denoise) {
  registry.add<xp::denoise::Denoise>("denoise", "Prediction of spans that were cut out of the text.");
}
