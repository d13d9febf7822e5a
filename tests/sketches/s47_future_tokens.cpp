// S47: each chosen position's vector becomes a short memory from which an owned decoder predicts the next tokens.
#include <ATen/ATen.h>

#include "api/evaluator.h"
#include "api/objective.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

class ChoosePositions final : public xp::Transform {
 public:
  explicit ChoosePositions(double share) : share_(share) {}
  xp::FieldUse fields() const override { return {.reads = {"ids"}, .writes = {{"predict_from", "input", 0}}}; }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      xp::Ints from{item.ints("ids").data};
      for (auto& x : from.data) x = random.uniform() < share_;
      item.fields["predict_from"] = std::move(from);
    }
  }

 private:
  double share_;
};

class FutureTokens final : public xp::Objective {
 public:
  struct Params {
    std::int64_t horizon = 8, slots = 12;
    double gamma = 0.8, positions = 0.25;
    xp::ModelSpec decoder;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::horizon, "horizon", "How many tokens ahead.");
      f.add(&Params::slots, "slots", "Memory slots per vector.");
      f.add(&Params::gamma, "gamma", "Weight of horizon k is gamma^k, normalised.");
      f.add(&Params::positions, "positions", "Share of positions that predict.");
      f.add(&Params::decoder, "decoder", "The decoder's settings, laid over the primary model's.");
    }
  };
  explicit FutureTokens(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& c) override {
    p_.decoder.settings.insert_or_assign("memory", true);
    const auto width = c.make_model({.role = "decoder", .spec = p_.decoder}).shape().width;
    expand_ = c.add({"expand", "dense", -1, xp::Lifetime::pretrain_only},
                    {p_.slots * width, c.model("primary").shape().width}, {0, 0.2});
  }
  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<ChoosePositions>(p_.positions);
  }

  xp::Counts counts(const xp::Batch& b) const override {
    xp::Counts n;
    for (std::int64_t k = 1; k <= p_.horizon; ++k)
      n[name(k)] = (b.dense("predict_from").to(at::kBool) & ahead(b.dense("input.mask"), k)).sum(1);
    return n;
  }
  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto losses = nats(b, c, b.dense("predict_from").to(at::kBool));
    xp::StepResult r;
    double total = 0;
    for (std::int64_t k = 1; k <= p_.horizon; ++k) total += std::pow(p_.gamma, k);
    for (std::int64_t k = 1; k <= p_.horizon; ++k)
      r.terms.push_back({name(k), losses.select(1, k - 1), std::pow(p_.gamma, k) / total});
    return r;
  }
  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> c, xp::Handle& plain) override;

  /// Summed loss by item and horizon, [items, horizon], predicting from the given positions.
  Tensor nats(const xp::Batch& b, xp::StepContext& c, const Tensor& from) const {
    const auto &ids = b.dense("ids"), &mask = b.dense("input.mask");
    const auto at = from.flatten().nonzero().squeeze(1);
    const auto top = c.forward("primary", {.ids = ids, .mask = mask, .causal = true}, {.at = at}).picked;
    const auto memory = at::linear(top, c.weight(expand_)).unflatten(-1, {p_.slots, -1});
    std::vector<Tensor> input, label, valid;
    for (std::int64_t k = 1; k <= p_.horizon; ++k) {
      input.push_back(shift(ids, k - 1).flatten().index_select(0, at)),
          label.push_back(shift(ids, k).flatten().index_select(0, at));
      valid.push_back(ahead(mask, k).flatten().index_select(0, at));
    }
    const auto pass =
        c.forward("decoder", {.ids = at::stack(input, 1), .causal = true, .memory = memory}, {.tokens = true});
    const auto losses = at::cross_entropy_loss(c.logits("decoder", pass.tokens).transpose(1, 2), at::stack(label, 1),
                                               {}, at::Reduction::None);
    return at::zeros({b.items(), p_.horizon})
        .index_add(0, at::div(at, ids.size(1), "floor"), losses * at::stack(valid, 1));
  }

 private:
  static Tensor shift(const Tensor& x, std::int64_t k) { return at::constant_pad_nd(x, {-k, k}, 0); }
  static Tensor ahead(const Tensor& mask, std::int64_t k) { return at::constant_pad_nd(mask, {-k, k}, false); }
  static std::string name(std::int64_t k) { return "ahead_" + std::to_string(k); }
  Params p_;
  xp::Param expand_ = 0;
};

/// Scores text through the owned decoder, which evaluators need not know about.
class FutureHandle final : public xp::WrappedHandle {
 public:
  FutureHandle(const FutureTokens& objective, std::shared_ptr<xp::StepContext> context, xp::Handle& plain)
      : WrappedHandle(plain), o_(objective), c_(std::move(context)) {}
  bool can(std::string_view what) const override { return what == "score" || what == "encode" || what == "logits"; }
  xp::ForwardOutput encode(const xp::Batch& b, const xp::ForwardRequest& want) override {
    return c_->forward("primary", {.ids = b.dense("ids"), .mask = b.dense("input.mask"), .causal = true}, want);
  }
  std::vector<xp::Score> score(const xp::Batch& b) override {
    const auto nats = o_.nats(b, *c_, b.dense("input.mask")).select(1, 0);
    std::vector<xp::Score> all;
    for (std::int64_t i = 0; i < b.items(); ++i)
      all.push_back({nats[i].item<double>(), b.dense("input.mask")[i].sum().item<std::int64_t>() - 1, 0});
    return all;
  }

 private:
  const FutureTokens& o_;
  std::shared_ptr<xp::StepContext> c_;
};
std::unique_ptr<xp::Handle> FutureTokens::handle(std::shared_ptr<xp::StepContext> c, xp::Handle& plain) {
  return std::make_unique<FutureHandle>(*this, std::move(c), plain);
}

}  // namespace

XP_PLUGIN(s47_future_tokens) { registry.add<FutureTokens>("future_tokens", "Several tokens ahead from one vector."); }
