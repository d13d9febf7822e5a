// Keeps features close to those of a frozen reference.
#include <algorithm>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// || f(x) - stop(f_reference(x)) ||^2, summed over the features and averaged over texts (self-distillation for
/// further pre-training, Lee et al. 2023).
class MatchFeatures final : public xp::Objective {
 public:
  enum class On : std::uint8_t { unmasked, masked };
  struct Params {
    std::string reference = "teacher";
    On on = On::unmasked;
    xp::Pooling pooling = xp::Pooling::mean;
    std::int64_t layer = 0;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::reference, "reference", "Role of the frozen model, a key of the stage's `references`.");
      f.add(&Params::on, "on", "What both models read: the text as it is, or as another term of a sum masked it.",
            {{"unmasked", On::unmasked}, {"masked", On::masked}});
      f.add(&Params::pooling, "pooling", "What a text's features are.",
            {{"first", xp::Pooling::first}, {"mean", xp::Pooling::mean}, {"last", xp::Pooling::last}});
      f.add(&Params::layer, "layer", "Layer of both models whose output is compared; 0: the last of each.").min(0);
      f.needs("field", "ids");
      f.needs("capability", "primary:bidirectional");
      f.needs("capability", "teacher:bidirectional", {{"reference", {"teacher"}}});
    }
  };

  explicit MatchFeatures(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& context) override {
    const auto &theirs = context.model(p_.reference), &ours = context.model("primary");
    const auto width = theirs.shape().width;
    if (width != ours.shape().width)
      throw xp::Error("features of " + xp::backquoted(p_.reference) + " are " + std::to_string(width) +
                      " wide, those of the model " + std::to_string(ours.shape().width) +
                      "; they cannot be compared");
    check_layer(ours, "the model");
    check_layer(theirs, xp::backquoted(p_.reference));
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"match", batch.dense("ids").new_ones({batch.items()})}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    if (p_.on == On::masked && !batch.has("masked_ids"))
      throw xp::Error("on = \"masked\" reads what another objective masks, and none does; make both terms of a sum");
    const xp::ForwardInput in{.ids = batch.dense(p_.on == On::masked ? "masked_ids" : "ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const xp::ForwardRequest want{.pooling = p_.pooling, .view = {.layers = p_.layer}};
    const auto own = context.forward("primary", in, want).pooled;
    const auto wanted = context.forward(p_.reference, in, want).pooled.detach();
    const auto type = own.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return {.terms = {{"match", (own.to(type) - wanted.to(type)).square().sum(1)}}};
  }

 private:
  void check_layer(const xp::Model& model, const std::string& name) const {
    const auto can = model.capabilities();
    if (p_.layer > 0 && std::find(can.begin(), can.end(), "views") == can.end())
      throw xp::Error("`layer` is " + std::to_string(p_.layer) + ", and " + name +
                      " shows its last layer only: it has no capability `views`");
    if (p_.layer > model.shape().layers)
      throw xp::Error("`layer` is " + std::to_string(p_.layer) + ", and " + name + " has " +
                      xp::count(static_cast<std::size_t>(model.shape().layers), "layer"));
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(match_features) {
  registry.add<MatchFeatures>("match_features", "Squared distance to the features of a frozen reference.");
}
