// Detection of tokens that the loader replaced: replaced token detection without a generator model.
#include <algorithm>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "plugin/plugin.h"

namespace {

/// Chooses tokens, each of its own with the same chance, and leaves it to a sampler what they become.
class Substitute final : public xp::Transform {
 public:
  Substitute(double rate, std::unique_ptr<xp::Transform> sampler) : rate_(rate), sampler_(std::move(sampler)) {}

  void start(const xp::Resources& resources) override {
    is_text_.clear();
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id) is_text_.push_back(resources.is_text(id));
    sampler_->start(resources);
  }

  xp::FieldUse fields() const override {
    auto use = sampler_->fields();
    std::erase(use.reads, "chosen");
    if (std::find(use.reads.begin(), use.reads.end(), "ids") == use.reads.end()) use.reads.push_back("ids");
    use.reads_if_there.push_back("maskable");
    use.writes.push_back({"chosen", "input", 0});
    return use;
  }

  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) choose(item, random);
    auto own = random.fork(1);
    sampler_->apply(group, own);
  }

  std::vector<xp::Subscription> subscriptions() const override { return sampler_->subscriptions(); }
  void receive(const xp::Feedback& feedback) override { sampler_->receive(feedback); }
  void set(std::string_view parameter, double value) override {
    if (parameter == "rate") rate_ = value;
    if (parameter.starts_with("sampler.")) sampler_->set(parameter.substr(8), value);
  }
  void save(xp::State& state) const override { sampler_->save(state.child("sampler")); }
  void load(const xp::State& state) override { sampler_->load(state.child("sampler")); }

 private:
  void choose(xp::Example& item, xp::RandomStream& random) const {
    const auto& ids = item.ints("ids").data;
    const auto* maskable = item.fields.contains("maskable") ? &item.ints("maskable").data : nullptr;
    if (maskable && maskable->size() != ids.size())
      throw xp::Error("field `maskable` has " + xp::count(maskable->size(), "value") + " for " +
                      xp::count(ids.size(), "token"));
    xp::Ints chosen{std::vector<std::int64_t>(ids.size(), 0)};
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] < 0 || static_cast<std::size_t>(ids[t]) >= is_text_.size())
        throw xp::Error("token id " + std::to_string(ids[t]) + " does not fit a vocabulary of " +
                        std::to_string(is_text_.size()));
      const bool drawn = random.uniform() < rate_;
      chosen.data[t] = drawn && is_text_[static_cast<std::size_t>(ids[t])] && (!maskable || (*maskable)[t]);
    }
    item.fields["chosen"] = std::move(chosen);
  }

  double rate_;
  std::unique_ptr<xp::Transform> sampler_;
  std::vector<bool> is_text_;  ///< by id
};

/// Binary cross entropy of a linear head on every token that is no padding: was it replaced? (RTS and C-RTS; Di
/// Liello et al. 2022, "Effective Pre-Training Objectives for Transformer-based Autoencoders", section 3.) A
/// replacement that equals the original is original.
class SubstitutedTokenDetection final : public xp::Objective {
 public:
  struct Params {
    double rate = 0.15;
    std::unique_ptr<xp::Transform> sampler;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::rate, "rate", "Share of the tokens to replace.").min(0).max(1).schedulable();
      f.add(&Params::sampler, "sampler", "Writes `substituted_ids`: `ids`, with others where `chosen` is 1.")
          .required();
      f.needs("field", "ids");
      f.needs("capability", "primary:bidirectional");
      f.gives("metric", "replaced", "share");
      f.gives("metric", "detected", "share");
    }
  };
  explicit SubstitutedTokenDetection(Params p) : p_(std::move(p)) {
    if (!p_.sampler) throw xp::Error("`sampler` is none; a transform that replaces the chosen tokens is needed");
    const auto made = p_.sampler->fields().writes;
    if (std::none_of(made.begin(), made.end(), [](const auto& spec) { return spec.name == "substituted_ids"; }))
      throw xp::Error("`sampler` is the transform " + xp::backquoted(p_.sampler->type()) +
                      ", which does not write `substituted_ids`; one that replaces the chosen tokens is needed");
  }

  void build(xp::BuildContext& context) override {
    const auto width = context.model("primary").shape().width;
    out_ = context.add({"output", "head", -1, xp::Lifetime::pretrain_only}, {1, width});
    out_bias_ = context.add({"output.bias", "head", -1, xp::Lifetime::pretrain_only}, {1}, {0, 0});
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    if (!p_.sampler) throw xp::Error("the sampler was handed out already; an objective has one input transform");
    return std::make_unique<Substitute>(p_.rate, std::move(p_.sampler));
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "rate") p_.rate = value;  // the transform gets it too
  }
  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"detection", batch.dense("input.mask").sum(1)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto& given = batch.dense("substituted_ids");
    const auto& mask = batch.dense("input.mask");
    const auto pass = context.forward(
        "primary", {.ids = given, .mask = mask, .segments = xp::segments_of(batch), .sample_id = batch.sample_id},
        {.tokens = true});
    auto score = xp::ops::linear(pass.tokens, context.weight(out_), context.weight(out_bias_)).squeeze(-1);
    if (score.scalar_type() != at::kDouble) score = score.to(at::kFloat);
    const auto replaced = given.ne(batch.dense("ids")).logical_and(mask);
    const auto losses = xp::ops::binary_cross_entropy_with_logits(score, replaced.to(score.scalar_type()));
    const auto says = score.detach().gt(0);
    const auto found = says.logical_and(replaced).sum(), all = replaced.sum();
    return {.terms = {{"detection", losses.mul(mask).sum(1)}},
            .metrics = {{"replaced", all, mask.sum()}, {"detected", found, all}},
            .feedback = {{"detector_success", {{"right", says.eq(replaced)}}}},
            .published = {{"scores", score}}};
  }

 private:
  Params p_;
  xp::Param out_ = 0, out_bias_ = 0;
};

}  // namespace

XP_PLUGIN(substituted_token_detection) {
  registry.add<SubstitutedTokenDetection>("substituted_token_detection",
                                          "Detection of tokens that the loader replaced.");
}
