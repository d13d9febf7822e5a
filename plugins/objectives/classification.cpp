// Classification of whole items by a head on the pooled output.
#include <c10/core/GradMode.h>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/head_handle.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// Cross-entropy with the class of each item; or -T^2 sum_c p_c log q_c with p = softmax(reference / T), what a
/// frozen reference predicts (Hinton et al. 2015, section 2; Turc et al. 2019 with T = 1).
class Classification final : public xp::Objective {
 public:
  enum class Targets : std::uint8_t { labels, reference };
  struct Params {
    std::string field = "label";
    Targets targets = Targets::labels;
    std::string reference = "teacher";
    double temperature = 1;
    xp::Pooling pooling = xp::Pooling::mean;
    std::int64_t hidden = 0;
    double dropout = 0;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::field, "field", "Field of the documents that holds the class.");
      f.add(&Params::targets, "targets", "What the scores of the classes are compared with.",
            {{"labels", Targets::labels}, {"reference", Targets::reference}});
      f.add(&Params::reference, "reference",
            "With targets = \"reference\": role of the frozen model, or of its predictions, in the stage's "
            "`references`.");
      f.add(&Params::temperature, "temperature", "Divides the scores of both, with targets = \"reference\".")
          .above(0)
          .schedulable();
      f.add(&Params::pooling, "pooling", "Which output stands for the item; `own` is the model's own way.",
            {{"first", xp::Pooling::first},
             {"mean", xp::Pooling::mean},
             {"last", xp::Pooling::last},
             {"own", xp::Pooling::own}});
      f.add(&Params::hidden, "hidden", "Width of a hidden layer of the head; 0: none.").min(0).max(1 << 20);
      f.add(&Params::dropout, "dropout", "Rate on the pooled output in training.").min(0).below(1);
      f.needs("field", "ids");
      f.needs("field", "label", {{"field", {"label"}}, {"targets", {"labels"}}});
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      f.gives("metric", "accuracy", "share", {{"targets", {"labels"}}});
      f.gives("metric", "agreement", "share", {{"targets", {"reference"}}});
    }
  };

  explicit Classification(Params p) : p_(std::move(p)) {}

  const std::string& field() const { return p_.field; }

  void build(xp::BuildContext& context) override {
    const auto classes = std::ssize(context.categories(p_.field));
    if (classes < 2)
      throw xp::Error("field " + xp::backquoted(p_.field) + " has " +
                      xp::count(static_cast<std::size_t>(classes), "value") +
                      " to train on; at least two are needed to tell them apart");
    auto width = context.model("primary").shape().pooled_width(p_.pooling);
    if (p_.hidden) {
      dense_ = context.add({"dense", "head"}, {p_.hidden, width});
      dense_bias_ = context.add({"dense.bias", "head"}, {p_.hidden}, {0, 0});
      width = p_.hidden;
    }
    out_ = context.add({"output", "head"}, {classes, width});
    out_bias_ = context.add({"output.bias", "head"}, {classes}, {0, 0});
  }

  void set(std::string_view parameter, double value) override {
    if (parameter == "temperature") p_.temperature = value;
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    if (p_.targets == Targets::reference) return {{"classification", batch.sample_id.new_ones({batch.items()})}};
    return {{"classification", label(batch).ge(0).to(at::kLong)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    return p_.targets == Targets::labels ? with_labels(batch, context) : with_reference(batch, context);
  }

  xp::StepResult with_labels(const xp::Batch& batch, xp::StepContext& context) const {
    const auto& labels = label(batch);
    const auto scores = predict(batch, context);
    const auto known = labels.ge(0);
    const auto right = scores.detach().argmax(-1).eq(labels).logical_and(known);
    return {.terms = {{"classification", xp::cross_entropy(scores, labels)}},
            .metrics = {{"accuracy", right.sum(), known.sum()}}};
  }

  xp::StepResult with_reference(const xp::Batch& batch, xp::StepContext& context) const {
    const auto wanted = context.predict(p_.reference, batch, p_.field);
    const auto scores = predict(batch, context);
    if (wanted.sizes() != scores.sizes())
      throw xp::Error("reference " + xp::backquoted(p_.reference) + " gives scores of " +
                      std::to_string(wanted.size(-1)) + " classes, the model has " + std::to_string(scores.size(-1)));
    const auto t = p_.temperature;
    const auto losses =
        (wanted.to(scores.scalar_type()).div(t).softmax(-1) * scores.div(t).log_softmax(-1)).sum(-1) * (-t * t);
    const auto agreed = scores.detach().argmax(-1).eq(wanted.argmax(-1));
    return {.terms = {{"classification", losses}},
            .metrics = {{"agreement", agreed.sum(), agreed.sum().new_full({}, agreed.numel())}}};
  }

  /// Scores of the classes, [items, classes]; drops out only where gradients are asked for.
  at::Tensor predict(const xp::Batch& batch, xp::StepContext& context) const {
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    auto x = context.forward("primary", in, {.pooling = p_.pooling}).pooled;
    const auto& weight = context.weight(out_);
    x = x.to(weight.scalar_type());
    if (p_.dropout > 0 && c10::GradMode::is_enabled()) {
      const auto keep = context.uniform(batch, x.size(1), "dropout").ge(p_.dropout);
      x = x * keep.to(x.options()) / (1 - p_.dropout);
    }
    if (dense_)
      x = xp::ops::gelu(
          xp::ops::linear(x, context.weight(*dense_).narrow(1, 0, x.size(1)), context.weight(dense_bias_)));
    return xp::ops::linear(x, weight.narrow(1, 0, x.size(1)), context.weight(out_bias_));
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return std::make_unique<xp::HeadHandle<Classification>>(*this, "classifies", std::move(context), plain);
  }

 private:
  const at::Tensor& label(const xp::Batch& batch) const {
    const auto& labels = batch.dense(p_.field);
    if (labels.dim() != 1)
      throw xp::Error("field " + xp::backquoted(p_.field) + " has " + std::to_string(labels.dim()) +
                      " axes; classification needs one class per item");
    return labels;
  }

  Params p_;
  std::optional<xp::Param> dense_;
  xp::Param dense_bias_ = 0, out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(classification) { registry.add<Classification>("classification", "Classification of whole items."); }
