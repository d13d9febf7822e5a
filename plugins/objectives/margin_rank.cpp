// Of the two texts of a group, the one that is labelled better shall score higher.
#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// max(0, margin - (score of the better - score of the other)), with a linear score of the pooled text (the
/// pairwise hinge loss of PROP, Ma et al. 2021). Counted at the better text; a pair of equal labels asks for nothing.
class MarginRank final : public xp::Objective {
 public:
  struct Params {
    double margin = 1;
    xp::Pooling pooling = xp::Pooling::first;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::margin, "margin", "How far ahead the better one's score shall be.").min(0);
      f.add(&Params::pooling, "pooling", "Which output stands for the text.",
            {{"first", xp::Pooling::first}, {"mean", xp::Pooling::mean}, {"last", xp::Pooling::last}});
      f.needs("field", "ids");
      f.needs("field", "better");
      f.needs("group", "2");
      f.gives("metric", "accuracy", "share");
    }
  };

  explicit MarginRank(Params p) : p_(p) {}

  void build(xp::BuildContext& context) override {
    const auto width = context.model("primary").shape().pooled_width(p_.pooling);
    weight_ = context.add({"score", "head", -1, xp::Lifetime::pretrain_only}, {1, width});
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    const auto lead = labels(batch);
    return {{"rank", lead.gt(lead.flip({1})).flatten().to(at::kLong)}};
  }

  /// Publishes `scores`, [pairs, 2].
  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto text = context.forward("primary", in, {.pooling = p_.pooling}).pooled;
    const auto type = text.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto weight = context.weight(weight_).narrow(1, 0, text.size(1));  // a view may be narrower
    const auto scores = xp::ops::linear(text.to(type), weight.to(type)).view({-1, 2});
    const auto grade = labels(batch);
    const auto better = grade.gt(grade.flip({1}));
    const auto lead = scores - scores.flip({1});  // of each over the other
    const auto right = lead.detach().gt(0).logical_and(better);
    return {.terms = {{"rank", ((p_.margin - lead).clamp_min(0) * better).flatten()}},
            .metrics = {{"accuracy", right.sum(), better.sum()}},
            .published = {{"scores", scores}}};
  }

 private:
  /// [pairs, 2]; throws Error unless the batch is made of pairs with one number per text.
  static at::Tensor labels(const xp::Batch& batch) {
    const auto& field = batch.dense("better");
    if (field.dim() != 1)
      throw xp::Error("field `better` has " + std::to_string(field.dim()) + " axes; ranking needs a number per text");
    xp::check_pairs(batch, "ranking");
    return field.view({-1, 2});
  }

  Params p_;
  xp::Param weight_ = 0;
};

}  // namespace

XP_PLUGIN(margin_rank) { registry.add<MarginRank>("margin_rank", "Margin loss within groups of two."); }
