// S24: tokens are replaced in the loader by a sampler that hears, some steps later, which replacements were missed.
#include <ATen/ATen.h>

#include <algorithm>

#include "api/objective.h"
#include "kit/chain.h"
#include "plugin/plugin.h"

namespace {

/// Keeps a matrix: how hard is it to notice that a token of cluster a became one of cluster b.
class ByCluster final : public xp::Transform {
 public:
  struct Params {
    std::string clusters, topic = "detector_success";
    double beta = 2;
    std::int64_t delay = 8;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::clusters, "clusters", "Fitted artifact: the cluster of each token.");
      f.add(&Params::topic, "topic", "What to listen to.");
      f.add(&Params::beta, "beta", "How strongly hard pairs are preferred; 0: uniform over clusters.");
      f.add(&Params::delay, "delay", "Steps until a message arrives.");
    }
  };
  explicit ByCluster(Params p) : p_(std::move(p)) {}

  void start(const xp::Resources& r) override {
    of_ = std::get<xp::Ints>(r.artifact(p_.clusters).values("cluster")).data;
    n_ = *std::max_element(of_.begin(), of_.end()) + 1;
    members_.resize(static_cast<std::size_t>(n_));
    for (std::size_t id = 0; id < of_.size(); ++id)
      if (of_[id] >= 0) members_[static_cast<std::size_t>(of_[id])].push_back(static_cast<std::int64_t>(id));
    count_.assign(static_cast<std::size_t>(n_ * n_), 1);
  }
  xp::FieldUse fields() const override {
    return {.reads = {"ids", "chosen"}, .writes = {{"substituted_ids", "input", 0}, {"cluster_pair", "input", -1}}};
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      const auto &ids = item.ints("ids").data, &chosen = item.ints("chosen").data;
      xp::Ints out{ids}, pair{std::vector<std::int64_t>(ids.size(), -1)};
      for (std::size_t t = 0; t < ids.size(); ++t) {
        const auto a = chosen[t] ? of_[static_cast<std::size_t>(ids[t])] : -1;
        if (a < 0) continue;
        const auto row = std::span(count_).subspan(static_cast<std::size_t>(a * n_), static_cast<std::size_t>(n_));
        const auto [low, high] = std::minmax_element(row.begin(), row.end());
        std::vector<double> rising;
        double total = 0;
        for (const auto c : row)
          rising.push_back(total +=
                           std::exp(p_.beta * double(c - *low) / double(std::max<std::int64_t>(*high - *low, 1))));
        const auto b = std::upper_bound(rising.begin(), rising.end(), random.uniform() * total) - rising.begin();
        const auto& from = members_[static_cast<std::size_t>(b)];
        out.data[t] = from[static_cast<std::size_t>(random.below(std::ssize(from)))];
        pair.data[t] = a * n_ + b;
      }
      item.fields["substituted_ids"] = std::move(out), item.fields["cluster_pair"] = std::move(pair);
    }
  }
  std::vector<xp::Subscription> subscriptions() const override { return {{p_.topic, p_.delay, {"cluster_pair"}}}; }
  void receive(const xp::Feedback& f) override {
    const auto &right = std::get<xp::Ints>(f.values.at("right")).data,
               &pair = std::get<xp::Ints>(f.values.at("cluster_pair")).data;
    for (std::size_t i = 0; i < pair.size(); ++i)
      if (pair[i] >= 0) count_[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1;
  }
  void save(xp::State& s) const override { s.set("count", xp::Ints{count_, {n_, n_}}); }
  void load(const xp::State& s) override { count_ = std::get<xp::Ints>(s.values("count")).data; }

 private:
  Params p_;
  std::int64_t n_ = 0;
  std::vector<std::int64_t> of_, count_;
  std::vector<std::vector<std::int64_t>> members_;
};

class Choose final : public xp::Transform {
 public:
  explicit Choose(double rate) : rate_(rate) {}
  void start(const xp::Resources& r) override { first_ = r.reserved("first_text"); }
  xp::FieldUse fields() const override { return {.reads = {"ids"}, .writes = {{"chosen", "input", 0}}}; }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      xp::Ints chosen{item.ints("ids").data};
      for (auto& x : chosen.data) x = x >= first_ && random.uniform() < rate_;
      item.fields["chosen"] = std::move(chosen);
    }
  }

 private:
  double rate_;
  std::int64_t first_ = 0;
};

class SubstitutedTokenDetection final : public xp::Objective {
 public:
  struct Params {
    double rate = 0.15;
    std::unique_ptr<xp::Transform> sampler;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::rate, "rate", "Share of tokens to replace.");
      f.add(&Params::sampler, "sampler", "Writes `substituted_ids` from `ids` where `chosen` is 1.");
    }
  };
  explicit SubstitutedTokenDetection(Params p) : p_(std::move(p)) {}
  void build(xp::BuildContext& c) override {
    out_ = c.add({"out", "head", -1, xp::Lifetime::pretrain_only}, {1, c.model("primary").shape().width}, {0, 0.2});
  }
  std::unique_ptr<xp::Transform> input_transform() override {
    auto chain = std::make_unique<xp::Chain>();
    chain->add("choose", std::make_unique<Choose>(p_.rate));
    chain->add("sampler", std::move(p_.sampler));
    return chain;
  }
  xp::Counts counts(const xp::Batch& b) const override { return {{"detection", b.dense("input.mask").sum(1)}}; }
  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto pass =
        c.forward("primary", {.ids = b.dense("substituted_ids"), .mask = b.dense("input.mask")}, {.tokens = true});
    const auto score = at::linear(pass.tokens, c.weight(out_)).squeeze(-1);
    const auto replaced = b.dense("substituted_ids").ne(b.dense("ids"));
    const auto bce =
        at::binary_cross_entropy_with_logits(score, replaced.to(at::kFloat), {}, {}, at::Reduction::None);
    return {.terms = {{"detection", (bce * b.dense("input.mask")).sum(1)}},
            .feedback = {{"detector_success", {{"right", score.detach().gt(0).eq(replaced)}}}}};
  }

 private:
  Params p_;
  xp::Param out_ = 0;
};

}  // namespace

XP_PLUGIN(s24_cluster_sampler) {
  registry.add<ByCluster>("by_cluster", "Replacements by learnt difficulty of cluster pairs.");
  registry.add<SubstitutedTokenDetection>("substituted_token_detection",
                                          "Detection of tokens replaced in the loader.");
}
