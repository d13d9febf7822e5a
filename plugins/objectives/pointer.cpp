// Points at a stretch of the text: the token that it begins with and the one that it ends with.
#include <limits>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/head_handle.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// Where the annotation of each item that has one lies; [n] int64 each.
struct Targets {
  at::Tensor item, first, last;
};

/// BERT's span head (Devlin et al. 2019, section 4.2): a linear score of every token as the first and one as the last
/// of the span, each with a softmax over the item's readable tokens of text, and the sum of the two cross-entropies.
/// The target is the first run of tokens that the column of annotations gives one value. Two annotations of a kind
/// that touch are told apart by their values alone: with the same value, or with two that training did not have, they
/// are one span.
class Pointer final : public xp::Objective {
 public:
  struct Params {
    std::string field = "answer";

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::field, "field",
            "Kind of the annotations, the first of which is pointed at; touching ones of one value count as one.");
      f.needs("field", "ids");
      f.needs("field", "word");
      f.needs("field", "answer", {{"field", {"answer"}}});
      f.gives("metric", "accuracy", "share");
    }
  };
  explicit Pointer(Params p) : p_(std::move(p)) {}

  const std::string& field() const { return p_.field; }

  // The values of the annotations say nothing here; asking for them is what makes the loader mark the tokens. Without
  // biases: a softmax over tokens would not see them.
  void build(xp::BuildContext& context) override {
    if (context.categories(p_.field).empty())
      throw xp::Error("the training split has no annotation of kind " + xp::backquoted(p_.field) + " to point at");
    const auto width = context.model("primary").shape().width;
    start_ = context.add({"start", "head"}, {1, width});
    end_ = context.add({"end", "head"}, {1, width});
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"pointer", marked(batch).any(1).to(at::kLong)}};
  }

  /// The metric: share of the spans whose first and last token both have the largest score.
  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto target = targets(batch);
    const auto scores = predict(batch, context).index_select(0, target.item).transpose(1, 2);  // [n, 2, time]
    const auto labels = xp::ops::stack({target.first, target.last}, 1);
    const auto losses = xp::cross_entropy(scores.flatten(0, 1), labels.flatten()).view(labels.sizes()).sum(1);
    const auto right = scores.detach().argmax(-1).eq(labels).all(1);
    return {.terms = {{"pointer", xp::sum_by_item(losses, target.item, batch.items())}},
            .metrics = {{"accuracy", right.sum(), labels.new_ones({}) * right.numel()}}};
  }

  /// Scores of every token as the first and as the last of the span, [items, time, 2]; minus infinity where there is
  /// no text to point at.
  at::Tensor predict(const xp::Batch& batch, xp::StepContext& context) const {
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto x = context.forward("primary", in, {.tokens = true}).tokens;
    const auto head = xp::ops::cat({context.weight(start_), context.weight(end_)}).narrow(1, 0, x.size(-1));
    const auto scores = xp::ops::linear(x.to(head.scalar_type()), head);
    return scores.masked_fill(candidates(batch).logical_not().unsqueeze(-1), kNever);
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return std::make_unique<xp::HeadHandle<Pointer>>(*this, "points", std::move(context), plain);
  }

 private:
  /// Tokens that may be pointed at, bool [items, time]: readable, of a word, and of the text that annotations are of,
  /// which is the first where there are two.
  static at::Tensor candidates(const xp::Batch& batch) {
    const auto text = batch.dense("word").ge(0).logical_and(batch.dense("input.mask"));
    return batch.has("segment") ? text.logical_and(batch.dense("segment").eq(0)) : text;
  }

  /// Tokens inside any annotation, bool [items, time].
  at::Tensor marked(const xp::Batch& batch) const {
    const auto& marks = batch.dense(p_.field);
    if (marks.dim() != 2)
      throw xp::Error("field " + xp::backquoted(p_.field) +
                      " has one class per item; pointing needs a kind of annotation, which marks tokens");
    return marks.ne(-1).logical_and(candidates(batch));
  }

  Targets targets(const xp::Batch& batch) const {
    const auto inside = marked(batch);
    const auto item = inside.any(1).nonzero().squeeze(1);
    const auto some = inside.index_select(0, item), marks = batch.dense(p_.field).index_select(0, item);
    const auto first = some.to(at::kLong).argmax(1, true);  // [n, 1]: of equal ones the first
    const auto same = marks.eq(marks.gather(1, first)).logical_and(some);
    const auto place = xp::ops::arange(marks.size(1), marks.options().dtype(at::kLong)).unsqueeze(0);
    // Tokens before the run count as its part, so that the run ends before the first token that is none.
    const auto length = same.logical_or(place.lt(first)).to(at::kLong).cumprod(1).sum(1);
    return {item, first.squeeze(1), length - 1};
  }

  Params p_;
  xp::Param start_ = 0, end_ = 0;
};

}  // namespace

XP_PLUGIN(pointer) { registry.add<Pointer>("pointer", "The first and the last token of a stretch of the text."); }
