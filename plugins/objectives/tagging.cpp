// A class for each word, by a head on its first token.
#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/head_handle.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// Token classification as in BERT (Devlin et al. 2019, section 5.3): the output at a word's first token through one
/// linear layer; further tokens of the word, and words without a tag, cost nothing.
class Tagging final : public xp::Objective {
 public:
  struct Params {
    std::string field = "tag";

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::field, "field", "Kind of the documents' annotations that hold the tags.");
      f.needs("field", "ids");
      f.needs("field", "word");
      f.needs("field", "tag", {{"field", {"tag"}}});
      f.gives("metric", "accuracy", "share");
    }
  };
  explicit Tagging(Params p) : p_(std::move(p)) {}

  const std::string& field() const { return p_.field; }

  void build(xp::BuildContext& context) override {
    const auto classes = std::ssize(context.categories(p_.field));
    if (classes < 2)
      throw xp::Error("annotations of kind " + xp::backquoted(p_.field) + " have " +
                      xp::count(static_cast<std::size_t>(classes), "value") +
                      " in the training split; at least two are needed to tell them apart");
    out_ = context.add({"output", "head"}, {classes, context.model("primary").shape().width});
    out_bias_ = context.add({"output.bias", "head"}, {classes}, {0, 0});
  }

  xp::Counts counts(const xp::Batch& batch) const override { return {{"tagging", labels(batch).ge(0).sum(1)}}; }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto picked = xp::labelled(labels(batch));
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto scores = head(context.forward("primary", in, {.at = picked.at}).picked, context);
    const auto right = scores.detach().argmax(-1).eq(picked.labels).to(at::kLong);
    return {.terms = {{"tagging", xp::cross_entropy_by_item(scores, picked, batch.items())}},
            .metrics = {{"accuracy", right.sum(), right.new_ones({}) * right.numel()}}};
  }

  /// Scores of the classes at every token, [items, time, classes].
  at::Tensor predict(const xp::Batch& batch, xp::StepContext& context) const {
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    return head(context.forward("primary", in, {.tokens = true}).tokens, context);
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return std::make_unique<xp::HeadHandle<Tagging>>(*this, "tags", std::move(context), plain);
  }

 private:
  at::Tensor head(const at::Tensor& x, xp::StepContext& context) const {
    const auto& weight = context.weight(out_);
    return xp::ops::linear(x.to(weight.scalar_type()), weight.narrow(1, 0, x.size(-1)), context.weight(out_bias_));
  }

  /// [items, time]: the class at the first token of each tagged word, else negative.
  at::Tensor labels(const xp::Batch& batch) const {
    const auto& tags = batch.dense(p_.field);
    if (tags.dim() != 2)
      throw xp::Error("field " + xp::backquoted(p_.field) +
                      " has one class per item; tagging needs one per token, so name a kind of annotation");
    return tags.masked_fill(xp::first_of_words(batch.dense("word")).logical_not(), -1);
  }

  Params p_;
  xp::Param out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(tagging) { registry.add<Tagging>("tagging", "A class for each word, by a head on its first token."); }
