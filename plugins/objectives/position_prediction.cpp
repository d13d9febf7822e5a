// Position prediction: a model that is not told the order of a text's tokens says where each of them stands.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

void check_rate(double rate) {
  if (!(rate >= 0 && rate < 1))
    throw xp::Error("`mask_rate` is " + xp::number_text(rate) +
                    "; a share from 0 to below 1 is needed, so that something is left to be read");
}

/// Writes `position_keys` (1: all tokens may read this one) for 1 - `rate` of each text, at least one token, every
/// choice of so many equally likely; and `position_labels`: where a token stands, or -1 if it does not stand for
/// text, since begin and end are in the same place everywhere.
class DrawContext final : public xp::Transform {
 public:
  DrawContext(double rate, std::int64_t max_length) : rate_(rate), max_length_(max_length) {}

  void start(const xp::Resources& resources) override {
    is_text_.clear();
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id) is_text_.push_back(resources.is_text(id));
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate") check_rate(value), rate_ = value;
  }
  xp::FieldUse fields() const override {
    return {.reads = {"ids"}, .writes = {{"position_keys", "input", 0}, {"position_labels", "input", -1}}};
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) draw(item, random);
  }

 private:
  void draw(xp::Example& item, xp::RandomStream& random) const {
    const auto& ids = item.ints("ids").data;
    const auto n = std::ssize(ids);
    if (n > max_length_)
      throw xp::Error("a text has " + xp::count(ids.size(), "token") +
                      ", and position_prediction's `max_length` is " + std::to_string(max_length_) +
                      "; make it larger, or the stage's `batch.length` smaller");
    std::vector<std::size_t> order(ids.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto kept = std::clamp<std::int64_t>(std::llround((1 - rate_) * static_cast<double>(n)), n > 0 ? 1 : 0, n);
    xp::Ints keys{std::vector<std::int64_t>(ids.size(), 0)}, labels{std::vector<std::int64_t>(ids.size(), -1)};
    for (std::int64_t i = 0; i < kept; ++i) {
      auto& chosen = order[static_cast<std::size_t>(i)];
      std::swap(chosen, order[static_cast<std::size_t>(i + random.below(n - i))]);
      keys.data[chosen] = 1;
    }
    for (std::size_t t = 0; t < ids.size(); ++t)
      if (ids[t] >= 0 && ids[t] < std::ssize(is_text_) && is_text_[static_cast<std::size_t>(ids[t])])
        labels.data[t] = static_cast<std::int64_t>(t);
    item.fields["position_keys"] = std::move(keys), item.fields["position_labels"] = std::move(labels);
  }

  double rate_;
  std::int64_t max_length_;
  std::vector<bool> is_text_;  // by id
};

/// MP3 (Zhai et al. 2022, "Position Prediction as an Effective Pretraining Strategy"): every token is a
/// query, a random part of the text gives keys and values in every layer, and a linear head classifies the place:
/// -log softmax(W x_t + b)[t], over the places that the text has.
class PositionPrediction final : public xp::Objective {
 public:
  struct Params {
    std::int64_t max_length = 0;
    double mask_rate = 0.5;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::max_length, "max_length",
            "Number of positions that are told apart: tokens of the longest text, at least the stage's "
            "`batch.length`.")
          .min(2)
          .max(1 << 20)
          .required();
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens that give no keys and values; all are queries.")
          .min(0)
          .below(1)
          .schedulable();
      f.needs("field", "ids");
      f.needs("capability", "primary:bidirectional");
      for (const char* name : {"accuracy", "unique_accuracy", "ceiling"}) f.gives("metric", name, "share");
    }
  };

  explicit PositionPrediction(Params p) : p_(p) {
    if (p_.max_length < 2)
      throw xp::Error("`max_length` is " + std::to_string(p_.max_length) +
                      "; at least 2 positions are needed to tell them apart");
    check_rate(p_.mask_rate);
  }

  void build(xp::BuildContext& context) override {
    const auto& model = context.model("primary");
    check_unordered(model.settings());
    using enum xp::Lifetime;
    out_ = context.add({"output", "head", -1, pretrain_only}, {p_.max_length, model.shape().width});
    out_bias_ = context.add({"output.bias", "bias", -1, pretrain_only}, {p_.max_length}, {0, 0});
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<DrawContext>(p_.mask_rate, p_.max_length);
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate") check_rate(value), p_.mask_rate = value;
  }
  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"position", batch.dense("position_labels").ge(0).sum(1)}};
  }

  /// Publishes `logits`, a row for each token with a label. ForwardInput::keys is one choice for all items, so that a
  /// text's choice would depend on its batch; and segments stay out, for they tell which half a token is in.
  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto asked = xp::labelled(batch.dense("position_labels"));
    const xp::ForwardInput in{
        .ids = batch.dense("ids"), .mask = batch.dense("position_keys").ne(0), .sample_id = batch.sample_id};
    const auto x = context.forward("primary", in, {.at = asked.at}).picked;
    const auto& weight = context.weight(out_);
    const auto scores =
        xp::ops::linear(x.to(weight.scalar_type()), weight.narrow(1, 0, x.size(-1)), context.weight(out_bias_));
    const auto lengths = batch.dense("input.mask").sum(1).index_select(0, asked.item).unsqueeze(1);
    const auto beyond = xp::ops::arange(p_.max_length, lengths.options()).unsqueeze(0).ge(lengths);
    const auto logits = scores.masked_fill(beyond, -std::numeric_limits<double>::infinity());
    return {.terms = {{"position", xp::cross_entropy_by_item(logits, asked, batch.items())}},
            .metrics = metrics(logits.detach(), asked, occurrences(batch, asked)),
            .published = {{"logits", logits}}};
  }

 private:
  static void check_unordered(const xp::Table& model) {
    const auto found = model.find("positions");
    const auto* kind = found == model.end() ? nullptr : found->second.as<std::string>();
    if (kind && *kind != "none")
      throw xp::Error("the model is told what it is asked for: its `positions` is \"" + *kind +
                      "\"; position_prediction needs a model with positions = \"none\"");
  }

  /// How often the token of each label occurs among those of its text that have one, [n].
  static Tensor occurrences(const xp::Batch& batch, const xp::Picked& asked) {
    const auto& ids = batch.dense("ids");
    const auto labelled = batch.dense("position_labels").ge(0).unsqueeze(1);
    const auto same = ids.unsqueeze(2).eq(ids.unsqueeze(1)).logical_and(labelled).sum(2);
    return same.flatten().index_select(0, asked.at);
  }

  /// Without dropout equal tokens of a text get equal logits, hence one guess that fits one of them at most:
  /// `ceiling` is the share of right guesses that is left.
  static std::vector<xp::Metric> metrics(const Tensor& logits, const xp::Picked& asked, const Tensor& occurrences) {
    const auto right = logits.argmax(-1).eq(asked.labels), once = occurrences.eq(1);
    const auto all = right.sum().new_full({}, right.numel());
    return {{"accuracy", right.sum(), all},
            {"unique_accuracy", right.logical_and(once).sum(), once.sum()},
            {"ceiling", occurrences.to(at::kFloat).reciprocal().sum(), all}};
  }

  Params p_;
  xp::Param out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(position_prediction) {
  registry.add<PositionPrediction>("position_prediction",
                                   "Says where tokens stand, of a model that is not told their order.");
}
