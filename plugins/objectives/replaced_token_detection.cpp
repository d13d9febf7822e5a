// Replaced token detection (Clark et al. 2020, "ELECTRA"): a small generator fills masked places with samples, the
// primary model says of every token whether it is the original one.

#include "api/objective.h"
#include "api/ops.h"
#include "kit/batches.h"
#include "kit/masking.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

/// Draws from softmax(logits / temperature) by inverting the cumulative distribution at `uniform`: [n].
Tensor sample(const Tensor& logits, const Tensor& uniform, double temperature) {
  const auto rising = logits.to(at::kDouble).div(temperature).softmax(-1).cumsum(-1);
  const auto at = uniform.to(at::kDouble).unsqueeze(1) * rising.narrow(1, rising.size(1) - 1, 1);
  return rising.lt(at).sum(-1).clamp_max(rising.size(1) - 1);
}

class ReplacedTokenDetection final : public xp::Objective {
 public:
  struct Params {
    double mask_rate = 0.15, visible = 0.15, detection_weight = 50, temperature = 1;
    std::string share = "embeddings", positions = "all";
    xp::ModelSpec generator;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens that the generator fills.")
          .min(0)
          .max(1)
          .schedulable();
      f.add(&Params::visible, "visible", "Share of those that the generator sees unmasked.").min(0).max(1);
      f.add(&Params::detection_weight, "detection_weight", "Weight of the detection term beside the generator's.")
          .min(0)
          .schedulable();
      f.add(&Params::temperature, "temperature", "Of sampling from the generator.").above(0).schedulable();
      f.add(&Params::share, "share", "What the generator has in common with the primary model.")
          .choices({"none", "embeddings", "all"});
      f.add(&Params::positions, "positions", "Where detection is trained: everywhere, or where the generator filled.")
          .choices({"all", "masked"});
      f.add(&Params::generator, "generator", "The generator: settings laid over the primary model's.");
      f.needs("field", "ids");
      f.needs("reserved", "mask");
      for (const char* able : {"primary:bidirectional", "primary:logits"}) f.needs("capability", able);
      f.gives("metric", "generator_accuracy", "share");
      f.gives("metric", "replaced", "share");
      f.gives("metric", "detected", "share");
    }
  };
  explicit ReplacedTokenDetection(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& context) override {
    const auto width = context.model("primary").shape().width;
    // Shared tables keep their width; the generator projects them to its own.
    if (p_.share == "embeddings") p_.generator.settings.try_emplace("embedding_width", width);
    const std::map<std::string, std::string, std::less<>> shared{
        {"none", ""}, {"embeddings", "name:embedding.*"}, {"all", "*"}};
    context.make_model({.role = "generator", .spec = p_.generator, .share = shared.at(p_.share)});
    using enum xp::Lifetime;
    dense_ = context.add({"dense", "head", -1, pretrain_only}, {width, width});
    dense_bias_ = context.add({"dense.bias", "bias", -1, pretrain_only}, {width}, {0, 0});
    out_ = context.add({"out", "head", -1, pretrain_only}, {1, width});
    out_bias_ = context.add({"out.bias", "bias", -1, pretrain_only}, {1}, {0, 0});
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<xp::MaskTokens>(xp::mask_options(p_.mask_rate, {1 - p_.visible, 0, p_.visible}, false));
  }

  void set(std::string_view parameter, double value) override {
    if (parameter == "detection_weight") p_.detection_weight = value;
    if (parameter == "temperature") p_.temperature = value;
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"generator", batch.dense("labels").ge(0).sum(1)}, {"detection", scored(batch).sum(1)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto& ids = batch.dense("ids");
    const auto& mask = batch.dense("input.mask");
    const auto hidden = xp::labelled(batch.dense("labels"));
    const auto guess = context.forward("generator",
                                       {.ids = batch.dense("masked_ids"),
                                        .mask = mask,
                                        .segments = xp::segments_of(batch),
                                        .sample_id = batch.sample_id},
                                       {.at = hidden.at});
    const auto logits = context.logits("generator", guess.picked);
    xp::StepResult result{.terms = {{"generator", xp::cross_entropy_by_item(logits, hidden, batch.items())}}};

    const auto draw = context.uniform(batch, ids.size(1), "sample").flatten().index_select(0, hidden.at);
    const auto drawn = sample(logits.detach(), draw, p_.temperature);
    const auto filled = ids.flatten().index_copy(0, hidden.at, drawn).view_as(ids);
    const auto replaced = filled.ne(ids);  // a sample that equals the original is original

    const auto pass = context.forward(
        "primary", {.ids = filled, .mask = mask, .segments = xp::segments_of(batch), .sample_id = batch.sample_id},
        {.tokens = true});
    const auto dense = xp::ops::linear(pass.tokens, context.weight(dense_), context.weight(dense_bias_));
    const auto score = xp::ops::linear(xp::ops::gelu(dense), context.weight(out_), context.weight(out_bias_));
    const auto wide = score.squeeze(-1).to(score.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    const auto losses = xp::ops::binary_cross_entropy_with_logits(wide, replaced.to(wide.scalar_type()));
    result.terms.push_back({"detection", (losses * scored(batch)).sum(1), p_.detection_weight});

    const auto filled_here = batch.dense("labels").ge(0);
    result.metrics = {{"generator_accuracy", logits.detach().argmax(-1).eq(hidden.labels).sum(), filled_here.sum()},
                      {"replaced", replaced.sum(), filled_here.sum()},
                      {"detected", (wide.detach().gt(0) * replaced).sum(), replaced.sum()}};
    result.published = {{"filled", filled}, {"scores", wide}};
    return result;
  }

 private:
  Tensor scored(const xp::Batch& batch) const {
    return p_.positions == "all" ? batch.dense("input.mask") : batch.dense("labels").ge(0);
  }

  Params p_;
  xp::Param dense_ = 0, dense_bias_ = 0, out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(replaced_token_detection) {
  registry.add<ReplacedTokenDetection>("replaced_token_detection",
                                       "Finds the tokens that a small generator replaced.");
}
