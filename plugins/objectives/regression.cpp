// A number of whole items by a head on the pooled output.
#include <c10/core/GradMode.h>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/head_handle.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// Half precision would round what is far from zero in its own unit.
at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// Squared error of one output f(x) per item and the item's number y, standardised: (f(x) - (y - mean) / scale)^2,
/// least squares (Legendre 1805).
class Regression final : public xp::Objective {
 public:
  struct Params {
    std::string field = "score";
    double mean = 0, scale = 1;
    xp::Pooling pooling = xp::Pooling::mean;
    std::int64_t hidden = 0;
    double dropout = 0;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::field, "field", "Field of the documents that holds the number.");
      f.add(&Params::mean, "mean", "Taken off the number before it is learnt: about its mean in the data.");
      f.add(&Params::scale, "scale", "The number is divided by it: about its standard deviation in the data.")
          .above(0);
      f.add(&Params::pooling, "pooling", "Which output stands for the item; `own` is the model's own way.",
            {{"first", xp::Pooling::first},
             {"mean", xp::Pooling::mean},
             {"last", xp::Pooling::last},
             {"own", xp::Pooling::own}});
      f.add(&Params::hidden, "hidden", "Width of a hidden layer of the head; 0: none.").min(0).max(1 << 20);
      f.add(&Params::dropout, "dropout", "Rate on the pooled output in training.").min(0).below(1);
      f.needs("field", "ids");
      f.needs("field", "score", {{"field", {"score"}}});
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      f.gives("metric", "error", "units of the field");
    }
  };

  explicit Regression(Params p) : p_(std::move(p)) {}

  const std::string& field() const { return p_.field; }

  void build(xp::BuildContext& context) override {
    auto width = context.model("primary").shape().pooled_width(p_.pooling);
    if (p_.hidden) {
      dense_ = context.add({"dense", "head"}, {p_.hidden, width});
      dense_bias_ = context.add({"dense.bias", "head"}, {p_.hidden}, {0, 0});
      width = p_.hidden;
    }
    out_ = context.add({"output", "head"}, {1, width});
    out_bias_ = context.add({"output.bias", "head"}, {1}, {0, 0});
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"regression", batch.sample_id.new_ones({batch.items()})}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto found = output(batch, context);
    const auto wanted = number(batch).to(found.scalar_type()).sub(p_.mean).div(p_.scale);
    const auto off = found - wanted;
    const auto error = off.detach().abs().sum() * p_.scale;
    return {.terms = {{"regression", off * off}},
            .metrics = {{"error", error, error.new_full({}, static_cast<double>(batch.items()))}}};
  }

  /// In the field's own unit, [items, 1].
  at::Tensor predict(const xp::Batch& batch, xp::StepContext& context) const {
    return output(batch, context).mul(p_.scale).add(p_.mean).unsqueeze(1);
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return std::make_unique<xp::HeadHandle<Regression>>(*this, "predicts numbers", std::move(context), plain);
  }

 private:
  /// Standardised, [items]; drops out only where gradients are asked for.
  at::Tensor output(const xp::Batch& batch, xp::StepContext& context) const {
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
    return wide(xp::ops::linear(x, weight.narrow(1, 0, x.size(1)), context.weight(out_bias_))).squeeze(1);
  }

  const at::Tensor& number(const xp::Batch& batch) const {
    if (!batch.has(p_.field))
      throw xp::Error("the data have no number in the field " + xp::backquoted(p_.field) +
                      " of every document, which regression learns from; give each one, or name another field");
    const auto& values = batch.dense(p_.field);
    if (values.dim() != 1)
      throw xp::Error("field " + xp::backquoted(p_.field) + " has " + std::to_string(values.dim()) +
                      " axes; regression needs one number per item");
    return values;
  }

  Params p_;
  std::optional<xp::Param> dense_;
  xp::Param dense_bias_ = 0, out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(regression) { registry.add<Regression>("regression", "A number of whole items, by least squares."); }
