// Each text of a pair must find its partner among the partners of the whole batch.
#include <limits>

#include "api/objective.h"
#include "api/ops.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

/// One number per text, equal for equal tokens; different texts share one with a chance of 2^-64.
Tensor keys(const xp::Batch& batch) {
  const auto ids = batch.dense("ids").cpu().contiguous(), mask = batch.dense("input.mask").cpu().contiguous();
  const auto* id = ids.const_data_ptr<std::int64_t>();
  const auto* there = mask.const_data_ptr<bool>();
  const auto items = ids.size(0), time = ids.size(1);
  auto out = xp::ops::empty({items}, at::kLong);
  for (std::int64_t i = 0; i < items; ++i) {
    std::uint64_t key = 0;
    for (std::int64_t t = i * time; t < (i + 1) * time; ++t)
      if (there[t]) key = xp::RandomStream::mix(key + static_cast<std::uint64_t>(id[t]) + 0x9E3779B97F4A7C15ull);
    out.mutable_data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(key);
  }
  return out.to(batch.dense("ids").device());
}

/// `scores` ([own, all]; the right one of row i is column i) without the columns that hold the right text once more.
/// `key` tells the texts of the columns apart, [all].
Tensor without_copies(const Tensor& scores, const Tensor& key) {
  const auto column = xp::ops::arange(key.size(0), key.options());
  const auto right = column.narrow(0, 0, scores.size(0));
  const auto same = key.narrow(0, 0, scores.size(0)).unsqueeze(1).eq(key.unsqueeze(0));
  const auto copies = same.logical_and(right.unsqueeze(1).ne(column.unsqueeze(0)));
  return scores.masked_fill(copies, -std::numeric_limits<double>::infinity());
}

/// InfoNCE (van den Oord et al. 2018, equation 4) over cosines, the other pairs' second texts as negatives (Henderson
/// et al. 2017): -log exp(cos(a_i, b_i) / t) / sum_j exp(cos(a_i, b_j) / t). `symmetric` adds the same from b to a
/// and takes the mean of both (Radford et al. 2021, figure 3).
class InBatchSoftmax final : public xp::Objective {
 public:
  struct Params {
    double temperature = 0.05;
    bool symmetric = false;
    xp::Pooling pooling = xp::Pooling::mean;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::temperature, "temperature", "Divides the cosines.").above(0).schedulable();
      f.add(&Params::symmetric, "symmetric", "Whether the second text must find the first as well.");
      f.add(&Params::pooling, "pooling", "Which output stands for the text; `own` is the model's own way.",
            {{"first", xp::Pooling::first},
             {"mean", xp::Pooling::mean},
             {"last", xp::Pooling::last},
             {"own", xp::Pooling::own}});
      f.needs("field", "ids");
      f.needs("group", "2");
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      f.gives("metric", "accuracy", "share");
    }
  };

  explicit InBatchSoftmax(Params p) : p_(p) {
    if (!(p_.temperature > 0)) throw xp::Error("`temperature` must be above 0");
  }

  void build(xp::BuildContext&) override {}
  bool batch_coupled() const override { return true; }
  void set(std::string_view parameter, double value) override {
    if (parameter == "temperature") p_.temperature = value;
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    const auto place = xp::ops::arange(batch.items(), batch.dense("ids").options());
    return {{"contrast", p_.symmetric ? place.ge(0).to(at::kLong) : 1 - place.remainder(2)}};
  }

  /// Publishes `scores`: cosines over the temperature, a row for each text that is counted.
  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    xp::check_pairs(batch, "in-batch softmax");
    const xp::ForwardInput in{.ids = batch.dense("ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    const auto vectors = context.forward("primary", in, {.pooling = p_.pooling}).pooled;
    const auto wide = vectors.scalar_type() == at::kDouble ? vectors : vectors.to(at::kFloat);
    const auto unit = wide / wide.norm(2, {-1}, true).clamp_min(1e-6);
    const auto own = unit.view({-1, 2, unit.size(1)});
    const auto all = context.gather(own);  // pairs of the whole logical batch, those of this process first
    const auto key = context.gather(keys(batch).view({-1, 2}));
    const auto right = xp::ops::arange(own.size(0), key.options());
    const auto against_all = [&](std::int64_t member) {
      const auto cosines = own.select(1, member).matmul(all.select(1, 1 - member).t());
      return without_copies(cosines / p_.temperature, key.select(1, 1 - member));
    };
    auto scores = against_all(0);
    auto losses = xp::cross_entropy(scores, right);
    auto found = scores.detach().argmax(1).eq(right);
    if (p_.symmetric) {
      const auto back = against_all(1);
      losses = in_order(losses, xp::cross_entropy(back, right));
      found = in_order(found, back.detach().argmax(1).eq(right));
      scores = in_order(scores, back);
    } else {
      losses = in_order(losses, losses.new_zeros(losses.sizes()));
    }
    return {.terms = {{"contrast", losses}},
            .metrics = {{"accuracy", found.sum(), found.sum().new_full({}, found.numel())}},
            .published = {{"scores", scores}}};
  }

 private:
  /// Rows of first and of second texts, [n, ...] each, as the texts stand in the batch: [2n, ...].
  static Tensor in_order(const Tensor& first, const Tensor& second) {
    return xp::ops::stack({first, second}, 1).flatten(0, 1);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(in_batch_softmax) {
  registry.add<InBatchSoftmax>("in_batch_softmax", "Texts find their partners among those of the batch.");
}
