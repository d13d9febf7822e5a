// S29: a generator made by the model factory fills masks; the primary model says which tokens were replaced.
#include <ATen/ATen.h>

#include "api/objective.h"
#include "kit/masking.h"
#include "plugin/plugin.h"

namespace {

class ReplacedTokenDetection final : public xp::Objective {
 public:
  struct Params {
    double mask_rate = 0.15, detection_weight = 50, temperature = 1;
    std::string share = "embeddings", positions = "all";
    xp::ModelSpec generator;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::mask_rate, "mask_rate", "Share of tokens the generator fills.");
      f.add(&Params::detection_weight, "detection_weight", "Weight of the detection term.");
      f.add(&Params::temperature, "temperature", "Of sampling.");
      f.add(&Params::share, "share", "What the generator shares: none, embeddings, all.");
      f.add(&Params::positions, "positions", "Where detection is trained: all, masked.");
      f.add(&Params::generator, "generator", "The generator's settings, laid over the primary model's.");
    }
  };
  explicit ReplacedTokenDetection(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& c) override {
    const auto width = c.model("primary").shape().width;
    if (p_.share == "embeddings") p_.generator.settings.insert_or_assign("embedding_width", width);
    c.make_model({.role = "generator",
                  .spec = p_.generator,
                  .share = p_.share == "all"    ? "*"
                           : p_.share == "none" ? ""
                                                : "name:embedding.*"});
    using enum xp::Lifetime;
    dense_ = c.add({"dense", "head", -1, pretrain_only}, {width, width}, {0, 0.2});
    out_ = c.add({"out", "head", -1, pretrain_only}, {1, width}, {0, 0.2});
  }
  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<xp::MaskTokens>(xp::MaskOptions{.rate = p_.mask_rate});
  }

  xp::Counts counts(const xp::Batch& b) const override {
    return {{"mlm", (b.dense("labels") >= 0).sum(1)}, {"detection", scored(b).sum(1)}};
  }

  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto labels = b.dense("labels");
    const auto at = (labels >= 0).flatten().nonzero().squeeze(1);
    const auto guess =
        c.forward("generator", {.ids = b.dense("masked_ids"), .mask = b.dense("input.mask")}, {.at = at});
    const auto logits = c.logits("generator", guess.picked);
    const auto losses = at::cross_entropy_loss(logits, labels.flatten().index_select(0, at), {}, at::Reduction::None);
    const auto item = at.div(labels.size(1), "floor");

    const auto chance = (logits.detach() / p_.temperature).softmax(-1).cumsum(-1);
    const auto draw = c.uniform(b, labels.size(1), "sample").flatten().index_select(0, at).unsqueeze(1);
    const auto sampled = (chance < draw).sum(-1).clamp_max(chance.size(-1) - 1);
    const auto filled = b.dense("ids").flatten().index_put({at}, sampled).view_as(labels);
    const auto replaced = filled.ne(b.dense("ids")).to(at::kFloat);  // a sample equal to the original is original

    const auto pass = c.forward("primary", {.ids = filled, .mask = b.dense("input.mask")}, {.tokens = true});
    const auto score = at::linear(at::gelu(at::linear(pass.tokens, c.weight(dense_))), c.weight(out_)).squeeze(-1);
    const auto bce = at::binary_cross_entropy_with_logits(score, replaced, {}, {}, at::Reduction::None) * scored(b);
    return {.terms = {{"mlm", at::zeros({b.items()}).index_add(0, item, losses)},
                      {"detection", bce.sum(1), p_.detection_weight}},
            .metrics = {{"replaced", replaced.sum(), labels.ge(0).sum()}},
            .published = {{"filled", filled}}};
  }

 private:
  at::Tensor scored(const xp::Batch& b) const {
    return p_.positions == "all" ? b.dense("input.mask") : b.dense("labels") >= 0;
  }
  Params p_;
  xp::Param dense_ = 0, out_ = 0;
};

}  // namespace

XP_PLUGIN(s29_replaced_token) { registry.add<ReplacedTokenDetection>("replaced_token_detection", "ELECTRA."); }
