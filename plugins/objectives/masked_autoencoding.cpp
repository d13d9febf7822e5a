// A small decoder restores a heavily masked text from one vector of the encoder, which must therefore hold the text.
#include <algorithm>
#include <numeric>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// Writes `decoder_ids` and `decoder_labels`: what the encoder does not see (`labels` of an earlier transform) is
/// hidden from the decoder as well, and of the rest as much as makes `rate` of the text. The first token is never
/// asked for: the vector stands in its place.
class HideMore final : public xp::Transform {
 public:
  HideMore(double rate, bool whole_words) : rate_(rate), whole_words_(whole_words) {}

  void start(const xp::Resources& resources) override {
    mask_ = resources.reserved("mask");
    is_text_.clear();
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id) is_text_.push_back(resources.is_text(id));
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate") rate_ = value;
  }
  xp::FieldUse fields() const override {
    xp::Strings reads{"ids"};
    if (whole_words_) reads.push_back("word");
    return {.reads = std::move(reads),
            .reads_if_there = {"labels", "maskable"},
            .writes = {{"decoder_ids", "input", 0}, {"decoder_labels", "input", -1}}};
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) hide(item, random);
  }

 private:
  /// Tokens that are hidden or shown together.
  struct Unit {
    std::vector<std::size_t> tokens = {};
    bool hidden = false;
  };

  void hide(xp::Example& item, xp::RandomStream& random) const {
    xp::Ints ids = item.ints("ids"), labels{std::vector<std::int64_t>(ids.data.size(), -1)};
    auto all = units(item);
    double tokens = 0, hidden = 0;
    for (const auto& unit : all) {
      tokens += static_cast<double>(unit.tokens.size());
      if (unit.hidden) hidden += static_cast<double>(unit.tokens.size());
    }
    // Of those that the encoder sees, this share makes `rate_` of all together.
    const double more = hidden < tokens ? (rate_ - hidden / tokens) / (1 - hidden / tokens) : 0;
    for (const auto& unit : all) {
      const bool drawn = random.uniform() < more;
      if (!drawn && !unit.hidden) continue;
      for (const auto t : unit.tokens) labels.data[t] = ids.data[t], ids.data[t] = mask_;
    }
    item.fields["decoder_ids"] = std::move(ids), item.fields["decoder_labels"] = std::move(labels);
  }

  std::vector<Unit> units(const xp::Example& item) const {
    const auto& ids = item.ints("ids").data;
    const auto field = [&](const char* name) -> const std::vector<std::int64_t>* {
      return item.fields.contains(name) ? &item.ints(name).data : nullptr;
    };
    const auto *unseen = field("labels"), *maskable = field("maskable");
    const auto* word = whole_words_ ? &item.ints("word").data : nullptr;
    std::vector<Unit> all;
    std::size_t before = 0;  // the token that `all` ends with
    for (std::size_t t = 1; t < ids.size(); ++t) {
      const bool text = ids[t] >= 0 && ids[t] < std::ssize(is_text_) && is_text_[static_cast<std::size_t>(ids[t])];
      if (!text || (maskable && maskable->at(t) == 0)) continue;
      const bool joins = word && !all.empty() && before + 1 == t && word->at(t) == word->at(before);
      if (!joins) all.emplace_back();
      all.back().tokens.push_back(t);
      all.back().hidden = all.back().hidden || (unseen && unseen->at(t) >= 0);
      before = t;
    }
    return all;
  }

  double rate_;
  bool whole_words_;
  std::int64_t mask_ = 0;
  std::vector<bool> is_text_;  // by id
};

/// Masked auto-encoding as in RetroMAE (Xiao et al. 2022, section 3.2) with the decoder of Starbucks (Zhuang et al.
/// 2024): its first layers start as the encoder's, its embeddings and its head are the encoder's own.
class MaskedAutoencoding final : public xp::Objective {
 public:
  struct Params {
    std::int64_t decoder_layers = 1;
    double mask_rate = 0.4;
    bool whole_words = false;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::decoder_layers, "decoder_layers", "Layers of the decoder; they start as the encoder's first.")
          .min(1)
          .max(1000);
      f.add(&Params::mask_rate, "mask_rate",
            "Share of the tokens that the decoder does not see; those that the encoder does not see are among them.")
          .min(0)
          .max(1)
          .schedulable();
      f.add(&Params::whole_words, "whole_words", "Whether words are hidden with all their tokens.");
      f.needs("field", "ids");
      f.needs("field", "word", {{"whole_words", {"true"}}});
      for (const char* name : {"bidirectional", "vectors", "logits"})
        f.needs("capability", "primary:" + std::string(name));
      f.needs("reserved", "mask");
    }
  };

  explicit MaskedAutoencoding(Params p) : p_(p) {
    if (!(p_.mask_rate >= 0 && p_.mask_rate <= 1)) throw xp::Error("`mask_rate` must be from 0 to 1");
  }

  void build(xp::BuildContext& context) override {
    const auto shape = context.model("primary").shape();
    if (p_.decoder_layers > shape.layers)
      throw xp::Error("`decoder_layers` is " + std::to_string(p_.decoder_layers) + ", and the model has " +
                      xp::count(static_cast<std::size_t>(shape.layers), "layer") + " to start from");
    std::vector<int> first(static_cast<std::size_t>(p_.decoder_layers));
    std::iota(first.begin(), first.end(), 0);
    context.make_model({.role = "decoder",
                        .spec = {.type = {}, .like = {}, .settings = {{"layers", p_.decoder_layers}}},
                        .share = "name:embedding.*",
                        .copy_layers = first});
    lift_ = context.add({"lift", "dense", -1, xp::Lifetime::pretrain_only}, {shape.width, shape.width});
    lift_bias_ = context.add({"lift.bias", "bias", -1, xp::Lifetime::pretrain_only}, {shape.width}, {0, 0});
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<HideMore>(p_.mask_rate, p_.whole_words);
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate") p_.mask_rate = value;
  }
  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"restore", batch.dense("decoder_labels").ge(0).sum(1)}};
  }

  /// The encoder reads what another objective masked, if one does, else the text as it is.
  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    check_order(batch);
    const auto &mask = batch.dense("input.mask"), &ids = batch.dense("decoder_ids");
    const xp::ForwardInput in{.ids = batch.dense(batch.has("masked_ids") ? "masked_ids" : "ids"),
                              .mask = mask,
                              .sample_id = batch.sample_id};
    const auto whole = context.forward("primary", in, {.pooling = xp::Pooling::first}).pooled;
    const auto weight = context.weight(lift_).narrow(1, 0, whole.size(1));  // a view may be narrower
    const auto lifted = xp::ops::linear(whole, weight, context.weight(lift_bias_)).unsqueeze(1);
    const auto words = context.embed("primary", ids.slice(1, 1)).to(lifted.scalar_type());
    const auto hidden = xp::labelled(batch.dense("decoder_labels"));
    const xp::ForwardInput again{
        .vectors = xp::ops::cat({lifted, words}, 1), .mask = mask, .sample_id = batch.sample_id};
    const auto picked = context.forward("decoder", again, {.at = hidden.at}).picked;
    return {
        .terms = {{"restore", xp::cross_entropy_by_item(context.logits("primary", picked), hidden, batch.items())}}};
  }

 private:
  /// Where the decoder sees what the encoder does not, the vector need not hold it.
  static void check_order(const xp::Batch& batch) {
    if (!batch.has("labels")) return;
    const auto unseen = batch.dense("labels").slice(1, 1).ge(0);
    if (unseen.logical_and(batch.dense("decoder_labels").slice(1, 1).lt(0)).any().item<bool>())
      throw xp::Error(
          "masked auto-encoding hid its tokens before another term of the sum did; write it behind that term");
  }

  Params p_;
  xp::Param lift_ = 0, lift_bias_ = 0;
};

}  // namespace

XP_PLUGIN(masked_autoencoding) {
  registry.add<MaskedAutoencoding>("masked_autoencoding", "A small decoder restores a text from one vector.");
}
