// S10, second half: of two members of a group, the one labelled better should score higher. Reads the pass it is
// given.
#include <ATen/ATen.h>

#include "api/objective.h"
#include "plugin/plugin.h"

namespace {

class MarginRank final : public xp::Objective {
 public:
  struct Params {
    double margin = 1;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::margin, "margin", "Wanted difference of scores.");
      f.needs("field", "better");
    }
  };
  explicit MarginRank(Params p) : p_(p) {}

  void build(xp::BuildContext& c) override {
    score_ =
        c.add({"score", "head", -1, xp::Lifetime::pretrain_only}, {1, c.model("primary").shape().width}, {0, 0.2});
  }
  xp::Counts counts(const xp::Batch& b) const override { return {{"rank", b.dense("better").to(at::kLong)}}; }

  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto pass =
        c.forward("primary", {.ids = b.dense("ids"), .mask = b.dense("input.mask")}, {.pooling = xp::Pooling::first});
    const auto scores = at::linear(pass.pooled, c.weight(score_)).squeeze(-1).view({-1, 2});  // groups are whole
    const auto better = b.dense("better").view({-1, 2}).to(at::kFloat);
    const auto lead = (scores * (2 * better - 1)).sum(1, true);
    return {.terms = {{"rank", ((p_.margin - lead).clamp_min(0) * better).flatten()}},
            .published = {{"scores", scores}}};
  }

 private:
  Params p_;
  xp::Param score_ = 0;
};

}  // namespace

XP_PLUGIN(s10_margin_rank) { registry.add<MarginRank>("margin_rank", "Margin loss within groups of two."); }
