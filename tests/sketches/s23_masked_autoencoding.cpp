// S23, pre-training: a one-layer decoder restores a heavily masked text from the first token's vector alone.
#include <ATen/ATen.h>

#include "api/objective.h"
#include "plugin/plugin.h"

namespace {

class MaskMore final : public xp::Transform {  // what the encoder does not see, the decoder does not see either
 public:
  explicit MaskMore(double rate) : rate_(rate) {}
  void start(const xp::Resources& r) override { mask_ = r.reserved("mask"), first_ = r.reserved("first_text"); }
  xp::FieldUse fields() const override {
    return {.reads = {"ids", "labels"}, .writes = {{"decoder_ids", "input", 0}, {"decoder_labels", "input", -1}}};
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      const auto &text = item.ints("ids").data, &hidden = item.ints("labels").data;
      xp::Ints ids{text}, labels{std::vector<std::int64_t>(text.size(), -1)};
      for (std::size_t t = 1; t < text.size(); ++t)
        if (text[t] >= first_ && (random.uniform() < rate_ || hidden[t] >= 0))
          labels.data[t] = text[t], ids.data[t] = mask_;
      item.fields["decoder_ids"] = std::move(ids), item.fields["decoder_labels"] = std::move(labels);
    }
  }

 private:
  double rate_;
  std::int64_t mask_ = 0, first_ = 0;
};

class MaskedAutoencoding final : public xp::Objective {
 public:
  struct Params {
    std::int64_t decoder_layers = 1;
    double mask_rate = 0.4;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::decoder_layers, "decoder_layers", "Layers, copied from the first ones of the encoder.");
      f.add(&Params::mask_rate, "mask_rate", "Share of tokens hidden from the decoder besides the encoder's.");
    }
  };
  explicit MaskedAutoencoding(Params p) : p_(p) {}

  void build(xp::BuildContext& c) override {
    std::vector<int> first(static_cast<std::size_t>(p_.decoder_layers));
    for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<int>(i);
    c.make_model({.role = "decoder",
                  .spec = {.type = {}, .like = {}, .settings = {{"layers", p_.decoder_layers}}},
                  .share = "name:embedding.*",
                  .copy_layers = first});
    const auto d = c.model("primary").shape().width;
    lift_ = c.add({"lift", "dense", -1, xp::Lifetime::pretrain_only}, {d, d}, {0, 0.2});
  }
  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<MaskMore>(p_.mask_rate); }
  xp::Counts counts(const xp::Batch& b) const override {
    return {{"restore", (b.dense("decoder_labels") >= 0).sum(1)}};
  }

  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto &mask = b.dense("input.mask"), &labels = b.dense("decoder_labels");
    const auto whole =
        c.forward("primary", {.ids = b.dense("masked_ids"), .mask = mask}, {.pooling = xp::Pooling::first}).pooled;
    const auto lifted = at::linear(whole, c.weight(lift_).narrow(1, 0, whole.size(-1)));  // a view may be narrower
    const auto words = c.embed("primary", b.dense("decoder_ids").narrow(1, 1, labels.size(1) - 1));
    const auto at = (labels >= 0).flatten().nonzero().squeeze(1);
    const auto pass =
        c.forward("decoder", {.vectors = at::cat({lifted.unsqueeze(1), words}, 1), .mask = mask}, {.at = at});
    const auto losses = at::cross_entropy_loss(c.logits("primary", pass.picked), labels.flatten().index_select(0, at),
                                               {}, at::Reduction::None);
    return {
        .terms = {{"restore", at::zeros({b.items()}).index_add(0, at::div(at, labels.size(1), "floor"), losses)}}};
  }

 private:
  Params p_;
  xp::Param lift_ = 0;
};

}  // namespace

XP_PLUGIN(s23_masked_autoencoding) {
  registry.add<MaskedAutoencoding>("masked_autoencoding", "Restore a text from one vector.");
}
