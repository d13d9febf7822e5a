// A model whose weights are a merge of checkpoints; only the numbers of the merge are learnt.
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "api/checkpoint_transform.h"
#include "api/model.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

/// Weights of the merged model, and what they were computed from.
struct Merged {
  std::vector<Tensor> values;
  std::vector<Tensor> from;     ///< held, so that no other tensor takes the place of one
  std::vector<double> numbers;  ///< what `from` held: an optimizer may write past LibTorch's version counters
  bool differentiable = false;
  /// Set when a backward pass has gone through, which frees what it would need a second time.
  std::shared_ptr<std::atomic<bool>> spent = std::make_shared<std::atomic<bool>>(false);
};

/// Self Positioning (part 3 of the paper): theta_0 + scale * direction(positions), learnt by gradient descent through
/// the merge while the checkpoints stay as they are. Any checkpoint transform whose coefficients can be learnt
/// serves.
class Merge final : public xp::Model {
 public:
  struct Params {
    std::vector<xp::Reference> of;
    std::optional<xp::Reference> from;
    std::unique_ptr<xp::CheckpointTransform> method;
    std::vector<std::string> learn = {"*"};

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Checkpoints to merge.").artifact("checkpoint").required();
      f.add(&Params::from, "from", "What they all started from, for methods that merge changes.")
          .artifact("checkpoint");
      f.add(&Params::method, "method", "How they are merged.").required();
      f.add(&Params::learn, "learn",
            "Which of the method's numbers are learnt, by their names without what follows a dot (`position` means "
            "position.0, position.1, ...); the others stay as the method starts them.");
      f.gives("capability", "*");  // those of the merged models
    }
  };

  explicit Merge(Params p) : p_(std::move(p)) {
    if (!p_.method) throw xp::Error("merge needs `method`: how the checkpoints are merged");
    if (p_.of.empty()) throw xp::Error("`of` is empty; a merge needs checkpoints");
  }

  xp::Strings capabilities() const override { return inner_ ? inner_->capabilities() : xp::Strings{}; }
  void build(xp::BuildContext& context) override;
  xp::ModelShape shape() const override { return inner_->shape(); }

  Tensor embed(xp::Weights w, const Tensor& ids) const override { return inner_->embed(merged(w)->values, ids); }
  xp::ForwardOutput forward(xp::Weights w, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) const override {
    return inner_->forward(merged(w)->values, in, want);
  }
  Tensor logits(xp::Weights w, const Tensor& hidden) const override {
    return inner_->logits(merged(w)->values, hidden);
  }
  double flops(const xp::ForwardInput& in, const xp::ForwardRequest& want) const override {
    return inner_->flops(in, want);
  }
  std::optional<xp::Checkpoint> exported(xp::Weights w) const override {
    const at::NoGradGuard quiet;
    auto out = apply(numbers(w));
    for (auto& value : out.parameters.values) value = value.detach();
    return out;
  }

 private:
  /// Where a coefficient comes from: a parameter, or a number that stays.
  struct Source {
    std::optional<xp::Param> learnt;
    double fixed = 0;
  };

  Tensor numbers(xp::Weights w) const;
  xp::Checkpoint apply(const Tensor& numbers) const {
    static const xp::RandomStreams same(0, "merge");  // a method that draws must give one function of its numbers
    return p_.method->apply(inputs_, base_, numbers, same);
  }
  std::shared_ptr<const Merged> merged(xp::Weights w) const;
  bool fits(const Merged& known, xp::Weights w, bool differentiable) const;

  Params p_;
  std::vector<const xp::Checkpoint*> inputs_;
  const xp::Checkpoint* base_ = nullptr;
  std::unique_ptr<xp::Model> inner_;
  std::vector<Source> sources_;
  mutable std::mutex guard_;
  mutable std::shared_ptr<const Merged> last_;
};

void Merge::build(xp::BuildContext& context) {
  const auto find = [&](const std::string& text, std::size_t wanted) {
    const auto found = context.checkpoints(text);
    if (found.size() != wanted)
      throw xp::Error("the merge names " + xp::count(wanted, "checkpoint") + " as " + xp::backquoted(text) +
                      ", and the stage has " + std::to_string(found.size()));
    inputs_.insert(inputs_.end(), found.begin(), found.end());
  };
  for (std::size_t i = 0, n = 1; i < p_.of.size(); i += n) {  // "tuned[*]" stands there once for each of its members
    for (n = 1; i + n < p_.of.size() && p_.of[i + n].text == p_.of[i].text;) ++n;
    find(p_.of[i].text, n);
  }
  if (p_.from) {
    find(p_.from->text, 1);
    base_ = inputs_.back();
    inputs_.pop_back();
  }
  auto alike = inputs_;
  if (base_) alike.push_back(base_);
  xp::check_alike(alike, "`merge`");
  inner_ = context.architecture(*inputs_.front());

  std::set<std::string> groups;
  for (const auto& one : p_.method->coefficients(inputs_.size())) {
    const auto group = one.name.substr(0, one.name.find('.'));
    groups.insert(group);
    const bool learnt =
        std::any_of(p_.learn.begin(), p_.learn.end(), [&](const auto& pattern) { return xp::fits(group, pattern); });
    sources_.push_back({{}, one.start});
    if (learnt) sources_.back().learnt = context.add({one.name, "scalar"}, {1}, {one.start, 0});
  }
  for (const auto& pattern : p_.learn)
    if (std::none_of(groups.begin(), groups.end(), [&](const auto& name) { return xp::fits(name, pattern); }))
      throw xp::Error("`learn` names " + xp::backquoted(pattern) + ", and method " +
                      xp::backquoted(p_.method->type()) + " has " +
                      (groups.empty() ? "nothing to learn" : xp::listed({groups.begin(), groups.end()})));
  const at::NoGradGuard quiet;
  std::vector<double> start;
  for (const auto& source : sources_) start.push_back(source.fixed);
  apply(xp::ops::tensor(start).to(
      inputs_.front()->parameters.values.front().device()));  // so that what does not fit together is found before
                                                              // training starts
}

/// The method's coefficients in their order, [n], in float32 or wider.
Tensor Merge::numbers(xp::Weights w) const {
  const auto type = !w.empty() && w[0].scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto like = at::TensorOptions(inputs_.front()->parameters.values.front().device()).dtype(type);
  std::vector<Tensor> all;
  for (const auto& source : sources_)
    all.push_back(source.learnt ? w[*source.learnt].to(type) : xp::ops::full({1}, source.fixed, like));
  return all.empty() ? xp::ops::zeros({0}, like) : xp::ops::cat(all);
}

bool Merge::fits(const Merged& known, xp::Weights w, bool differentiable) const {
  if (known.differentiable != differentiable || known.spent->load() || known.from.size() != w.size()) return false;
  for (std::size_t i = 0; i < w.size(); ++i)
    if (!known.from[i].is_same(w[i]) || known.numbers[i] != w[i].item<double>()) return false;
  return true;
}

/// One merge serves all passes of a step.
std::shared_ptr<const Merged> Merge::merged(xp::Weights w) const {
  const bool differentiable =
      c10::GradMode::is_enabled() && std::any_of(w.begin(), w.end(), [](const auto& x) { return x.requires_grad(); });
  const std::lock_guard lock(guard_);
  if (last_ && fits(*last_, w, differentiable)) return last_;
  const at::AutoGradMode grad(differentiable);
  auto made = std::make_shared<Merged>();
  made->differentiable = differentiable;
  for (const auto& x : w) made->from.push_back(x), made->numbers.push_back(x.item<double>());
  const auto all = numbers(w);
  if (differentiable) all.register_hook([spent = made->spent](const Tensor&) { spent->store(true); });
  for (auto& value : apply(all).parameters.values)
    made->values.push_back(w.empty() ? value : value.to(w[0].scalar_type()));
  last_ = std::move(made);
  return last_;
}

}  // namespace

XP_PLUGIN(merge) { registry.add<Merge>("merge", "A model whose weights are a merge of checkpoints."); }
