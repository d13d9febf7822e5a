// S58, first half: span corruption and prefix language modelling for an encoder-decoder.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "api/objective.h"
#include "plugin/plugin.h"

namespace {

struct Settings {
  std::string mode = "R";
  std::int64_t span = 3;
  double rate = 0.15;
  bool prefix = false;
  static void describe(xp::Fields<Settings>& f) {
    f.needs("capability", "primary:memory");
    for (const char* purpose : {"sentinel[100]", "mode[3]", "end"}) f.needs("reserved", purpose);
    f.add(&Settings::mode, "mode", "Token that announces the task: R, S, X.");
    f.add(&Settings::span, "span", "Mean length of a span.");
    f.add(&Settings::rate, "rate", "Share of tokens to predict.");
    f.add(&Settings::prefix, "prefix", "One span, at the end.");
  }
};

class Corrupt final : public xp::Transform {
 public:
  explicit Corrupt(Settings p) : p_(std::move(p)) {}
  void start(const xp::Resources& r) override {
    mode_ = r.reserved("mode", static_cast<std::int64_t>(std::string("RSX").find(p_.mode))), end_ = r.reserved("end");
    for (int i = 0; i < 16; ++i) sentinel_.push_back(r.reserved("sentinel", i));
  }
  xp::FieldUse fields() const override {
    return {.reads = {"ids"}, .writes = {{"source_ids", "source", 0}, {"target_ids", "target", 0}}};
  }
  xp::Lengths lengths(std::int64_t raw, xp::RandomStream) const override {
    const auto [noise, spans] = plan(raw);
    return {raw - noise + spans + 2, noise + spans + 1};  // mode, rest, sentinels, end; noise, sentinels, end
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      const auto& ids = item.ints("ids").data;
      const auto [noise, spans] = plan(std::ssize(ids));
      const auto rest = split(std::ssize(ids) - noise, spans, random), gone = split(noise, spans, random);
      std::vector<std::int64_t> source{mode_}, target;
      auto at = ids.begin();
      for (std::size_t s = 0; s < rest.size(); ++s) {
        source.insert(source.end(), at, at + rest[s]), at += rest[s];
        source.push_back(sentinel_.at(s)), target.push_back(sentinel_[s]);
        target.insert(target.end(), at, at + gone[s]), at += gone[s];
      }
      source.push_back(end_), target.push_back(end_);
      item.fields["source_ids"] = xp::Ints{std::move(source)},
      item.fields["target_ids"] = xp::Ints{std::move(target)};
      item.source += ":" + p_.mode;  // losses are shown by mode
    }
  }

 private:
  std::pair<std::int64_t, std::int64_t> plan(std::int64_t raw) const {
    const auto noise =
        std::clamp<std::int64_t>(std::llround(p_.rate * double(raw)), 1, std::max<std::int64_t>(raw - 1, 1));
    const auto spans = p_.prefix ? 1 : std::llround(double(noise) / double(p_.span));
    return {noise, std::clamp<std::int64_t>(spans, 1, std::max<std::int64_t>(std::min(noise, raw - noise), 1))};
  }
  static std::vector<std::int64_t> split(std::int64_t total, std::int64_t parts, xp::RandomStream& random) {
    std::vector<std::int64_t> cuts{0, total};  // distinct cuts, so no part is empty
    while (std::ssize(cuts) < parts + 1)
      if (const auto c = 1 + random.below(total - 1); std::find(cuts.begin(), cuts.end(), c) == cuts.end())
        cuts.push_back(c);
    std::sort(cuts.begin(), cuts.end());
    for (std::size_t i = cuts.size() - 1; i > 0; --i) cuts[i] -= cuts[i - 1];
    cuts.erase(cuts.begin());
    return cuts;
  }
  Settings p_;
  std::int64_t mode_ = 0, end_ = 0;
  std::vector<std::int64_t> sentinel_;
};

class Denoise final : public xp::Objective {
 public:
  using Params = Settings;
  explicit Denoise(Params p) : p_(std::move(p)) {}
  void build(xp::BuildContext&) override {}
  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<Corrupt>(p_); }
  bool same_step(const xp::Objective& other) const override { return dynamic_cast<const Denoise*>(&other); }
  xp::Counts counts(const xp::Batch& b) const override { return {{"target", b.dense("target.mask").sum(1)}}; }
  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    const auto& mask = b.dense("source.mask");
    const auto memory = c.forward("primary", {.ids = b.dense("source_ids"), .mask = mask}, {.tokens = true}).tokens;
    const auto& target = b.dense("target_ids");
    const auto shifted = at::constant_pad_nd(target, {1, -1}, 0);
    const auto pass = c.forward("primary", {.ids = shifted, .causal = true, .memory = memory, .memory_mask = mask},
                                {.tokens = true});
    const auto losses =
        at::cross_entropy_loss(c.logits("primary", pass.tokens).transpose(1, 2), target, {}, at::Reduction::None);
    return {.terms = {{"target", (losses * b.dense("target.mask")).sum(1)}}};
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(s58_denoise) { registry.add<Denoise>("denoise", "Predict removed spans."); }
