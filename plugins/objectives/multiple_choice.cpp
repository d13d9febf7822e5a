// Of the texts of a group, which one is right, by a score of each.
#include <algorithm>
#include <limits>
#include <span>

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

/// The groups of a batch, one row each, as wide as the largest; all int64 but `there`.
struct Groups {
  at::Tensor item;   // [groups, most]: the item of each choice; 0 behind the last
  at::Tensor there;  // [groups, most] bool: not behind the last
  at::Tensor right;  // [groups]: the right one among the group's choices
  at::Tensor at;     // [groups]: its item
};

/// One linear score of each pooled text, a softmax over the texts of its group, and the cross-entropy of the right
/// one, as BERT is fine-tuned for SWAG (Devlin et al. 2019, section 4.4). Counted at the right text, so a group
/// counts once whatever its size.
class MultipleChoice final : public xp::Objective {
 public:
  struct Params {
    std::string field = "right";
    xp::Pooling pooling = xp::Pooling::mean;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::field, "field",
            "Field of the documents that is 1 for the right one of a group and 0 for others.");
      f.add(&Params::pooling, "pooling", "Which output stands for the text; `own` is the model's own way.",
            {{"first", xp::Pooling::first},
             {"mean", xp::Pooling::mean},
             {"last", xp::Pooling::last},
             {"own", xp::Pooling::own}});
      f.needs("field", "ids");
      f.needs("field", "right", {{"field", {"right"}}});
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      f.gives("metric", "accuracy", "share");
    }
  };
  explicit MultipleChoice(Params p) : p_(std::move(p)) {}

  const std::string& field() const { return p_.field; }

  // Without a bias: the softmax of a group would not see it.
  void build(xp::BuildContext& context) override {
    score_ = context.add({"score", "head"}, {1, context.model("primary").shape().pooled_width(p_.pooling)});
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    const auto at = groups(batch).at;
    return {{"multiple_choice", at.new_zeros({batch.items()}).index_fill(0, at, 1)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto group = groups(batch);
    const auto scores = predict(batch, context).flatten().index_select(0, group.item.flatten());
    const auto choices = scores.view(group.item.sizes()).masked_fill(group.there.logical_not(), kNever);
    const auto losses = xp::cross_entropy(choices, group.right);
    const auto where = group.right.unsqueeze(1), found = choices.detach();
    const auto hit = found.gather(1, where).gt(found.scatter(1, where, kNever).amax(1, true));
    return {.terms = {{"multiple_choice", xp::sum_by_item(losses, group.at, batch.items())}},
            .metrics = {{"accuracy", hit.sum(), hit.new_ones({}, at::kLong) * hit.numel()}}};
  }

  /// A score of each text, [items, 1]; those of one group may be compared.
  at::Tensor predict(const xp::Batch& batch, xp::StepContext& context) const {
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto text = context.forward("primary", in, {.pooling = p_.pooling}).pooled;
    const auto& weight = context.weight(score_);
    return xp::ops::linear(text.to(weight.scalar_type()), weight.narrow(1, 0, text.size(1)));  // of a view: narrower
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return std::make_unique<xp::HeadHandle<MultipleChoice>>(*this, "chooses", std::move(context), plain);
  }

 private:
  /// Adjacent items of one group id; a group that comes again right behind itself is seen by its first member.
  Groups groups(const xp::Batch& batch) const {
    const auto right = marks(batch);
    const auto ids = batch.group_id.contiguous(), samples = batch.sample_id.contiguous();
    const auto *group = ids.const_data_ptr<std::int64_t>(), *sample = samples.const_data_ptr<std::int64_t>();
    std::vector<std::int64_t> first, size, place, at;
    std::int64_t most = 0;
    for (std::int64_t from = 0, n = 1; from < batch.items(); from += n) {
      for (n = 1; from + n < batch.items() && group[from + n] == group[from] && sample[from + n] != sample[from];)
        ++n;
      const std::span<const bool> some(right.const_data_ptr<bool>() + from, static_cast<std::size_t>(n));
      if (n < 2 || std::ranges::count(some, true) != 1) refuse(group[from], {sample + from, some.size()}, some);
      place.push_back(std::ranges::find(some, true) - some.begin());
      first.push_back(from), size.push_back(n), at.push_back(from + place.back()), most = std::max(most, n);
    }
    const auto column = xp::ops::arange(most, at::kLong).unsqueeze(0);
    const auto there = column.lt(xp::ops::tensor(size).unsqueeze(1));
    const auto item = (xp::ops::tensor(first).unsqueeze(1) + column).masked_fill(there.logical_not(), 0);
    const auto device = batch.dense(p_.field).device();
    return {item.to(device), there.to(device), xp::ops::tensor(place).to(device), xp::ops::tensor(at).to(device)};
  }

  /// Which items are right, bool [items] on the CPU.
  at::Tensor marks(const xp::Batch& batch) const {
    if (!batch.has(p_.field))
      throw xp::Error("the data have no number " + xp::backquoted(p_.field) +
                      " in every text; choices are data of groups whose texts say 1 there if they are right, else 0");
    const auto& field = batch.dense(p_.field);
    if (field.dim() != 1)
      throw xp::Error("field " + xp::backquoted(p_.field) + " has " + std::to_string(field.dim()) +
                      " axes; a choice needs one number per text");
    const auto values = field.to(at::kCPU, at::kDouble).contiguous();
    for (std::int64_t i = 0; i < batch.items(); ++i)
      if (const double value = values.const_data_ptr<double>()[i]; value != 0 && value != 1)
        throw xp::Error("field " + xp::backquoted(p_.field) + " of sample " +
                        std::to_string(batch.sample_id[i].item<std::int64_t>()) + " is " + xp::number_text(value) +
                        "; it is 1 for a right text, else 0");
    return values.ne(0);
  }

  [[noreturn]] void refuse(std::int64_t group, std::span<const std::int64_t> samples,
                           std::span<const bool> right) const {
    xp::Strings names;
    for (const auto sample : samples) names.push_back(std::to_string(sample));
    const auto n = static_cast<std::size_t>(std::ranges::count(right, true));
    throw xp::Error("group " + std::to_string(group) + " of the data has " + xp::count(names.size(), "text") + ", " +
                    std::to_string(n) + " of them right by field " + xp::backquoted(p_.field) + " (samples " +
                    xp::join(names, ", ") + "); a choice has two or more, one of them right");
  }

  Params p_;
  xp::Param score_ = 0;
};

}  // namespace

XP_PLUGIN(multiple_choice) {
  registry.add<MultipleChoice>("multiple_choice", "Which text of a group is right, by a score of each.");
}
