// Distillation: hidden tokens are predicted as a frozen reference predicts them, not as they were.
#include "api/objective.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/masking.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// -T^2 sum_v p_v log q_v at each hidden token, with p = softmax(reference / T) and q = softmax(model / T); T^2 keeps
/// gradients of one size for all temperatures (Hinton et al. 2015, section 2).
class SoftCrossEntropy final : public xp::Objective {
 public:
  enum class Hidden : std::uint8_t { own, shared };
  struct Params {
    std::string reference = "teacher";
    double temperature = 1;
    Hidden hidden = Hidden::own;
    double mask_rate = 0.15;
    std::vector<double> mix = {0.8, 0.1, 0.1};

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::reference, "reference", "Role of the frozen model, a key of the stage's `references`.");
      f.add(&Params::temperature, "temperature", "Divides the logits of both.").above(0).schedulable();
      f.add(
          &Params::hidden, "hidden",
          "Which tokens are asked for: drawn here, or those that another term of a sum hides (`mask_rate` and `mix` "
          "are then that term's).",
          {{"own", Hidden::own}, {"shared", Hidden::shared}});
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens to predict.").min(0).max(1).schedulable();
      f.add(&Params::mix, "mix", "What becomes of them: shares of mask, random token, unchanged.");
      f.needs("field", "ids");
      f.needs("reserved", "mask", {{"hidden", {"own"}}});
      for (const char* capability : {"bidirectional", "logits"}) {
        f.needs("capability", "primary:" + std::string(capability));
        f.needs("capability", "teacher:" + std::string(capability), {{"reference", {"teacher"}}});
      }
      f.gives("metric", "agreement", "share");
    }
  };

  explicit SoftCrossEntropy(Params p) : options_(xp::mask_options(p.mask_rate, p.mix, false)), p_(std::move(p)) {
    if (!(p_.temperature > 0)) throw xp::Error("`temperature` must be above 0");
  }

  void build(xp::BuildContext&) override {}

  std::unique_ptr<xp::Transform> input_transform() override {
    if (p_.hidden == Hidden::shared) return nullptr;
    return std::make_unique<xp::MaskTokens>(options_);
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "temperature") p_.temperature = value;
    if (parameter == "mask_rate")
      options_ = xp::mask_options(value, {options_.mix.begin(), options_.mix.end()}, options_.whole_words);
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    if (!batch.has("labels"))
      throw xp::Error("hidden = \"shared\" asks for what another term of a sum hides, and none hides anything");
    return {{"soft", batch.dense("labels").ge(0).sum(1)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto hidden = xp::labelled(batch.dense("labels"));
    const xp::ForwardInput in{.ids = batch.dense("masked_ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto scores = [&](std::string_view role) {
      const auto logits = context.logits(role, context.forward(role, in, {.at = hidden.at}).picked);
      return (logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat)) / p_.temperature;
    };
    const auto own = scores("primary");
    const auto wanted = scores(p_.reference).detach();
    const auto losses = (wanted.softmax(-1) * own.log_softmax(-1)).sum(-1) * (-p_.temperature * p_.temperature);
    const auto agreed = own.detach().argmax(-1).eq(wanted.argmax(-1));
    return {.terms = {{"soft", xp::sum_by_item(losses, hidden.item, batch.items())}},
            .metrics = {{"agreement", agreed.sum(), agreed.sum().new_full({}, agreed.numel())}}};
  }

 private:
  xp::MaskOptions options_;
  Params p_;
};

}  // namespace

XP_PLUGIN(soft_cross_entropy) {
  registry.add<SoftCrossEntropy>("soft_cross_entropy", "Hidden tokens as a frozen reference predicts them.");
}
