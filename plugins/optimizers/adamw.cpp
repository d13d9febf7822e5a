// Adam with decoupled weight decay, and Adam as it was.
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <unordered_map>

#include "api/ops.h"
#include "api/optimizer.h"
#include "api/state.h"
#include "api/tensor.h"
#include "plugin/plugin.h"

namespace {

struct AdamParams {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01, layer_decay = 1;
  bool bias_correction = true;

  static void describe(xp::Fields<AdamParams>& f) {
    f.add(&AdamParams::lr, "lr", "Learning rate.").above(0);
    f.add(&AdamParams::beta1, "beta1", "Decay of the mean of gradients.").min(0).below(1);
    f.add(&AdamParams::beta2, "beta2", "Decay of the mean of squared gradients.").min(0).below(1);
    f.add(&AdamParams::epsilon, "epsilon", "Added to the root of the mean square.").above(0);
    f.add(&AdamParams::weight_decay, "weight_decay", "Weight decay; norms and biases have none.").min(0);
    f.add(&AdamParams::layer_decay, "layer_decay", "Factor of the learning rate per layer below the top.")
        .above(0)
        .max(1);
    f.add(&AdamParams::bias_correction, "bias_correction",
          "Whether the means are corrected for their start at zero.");
  }
};

/// Kingma and Ba 2015, algorithm 1; with `decoupled` the weights shrink by themselves (Loshchilov and Hutter 2019,
/// algorithm 2), else decay enters the gradient.
template <bool decoupled>
class Adam final : public xp::Optimizer {
 public:
  using Params = AdamParams;
  explicit Adam(Params p) : p_(p) {}

  xp::OptimizerPolicy policy() const override { return {p_.lr, p_.weight_decay, p_.layer_decay}; }
  void start(std::vector<xp::ParameterGroup> groups) override;
  void update(double lr) override;
  std::vector<at::Tensor> state_of(const at::Tensor& tensor) override {
    const auto found = slots_.find(tensor.unsafeGetTensorImpl());
    if (found == slots_.end() || !found->second->mean.defined()) return {};
    return {found->second->mean, found->second->square};
  }
  void save(xp::State& state) const override;
  void load(const xp::State& state) override;

 private:
  struct Slot {
    at::Tensor mean, square, steps;  // steps: [] float32, how often the tensor was updated
    void make(const at::Tensor& x) {
      mean = x.detach().new_zeros(x.detach().sizes()), square = mean.new_zeros(mean.sizes());
      steps = xp::ops::zeros({}, x.options().dtype(at::kFloat));
    }
  };

  void fused(const std::vector<std::pair<const at::Tensor*, Slot*>>& part, double lr, double decay);
  void written_out(const at::Tensor& x, Slot& slot, double lr, double decay);

  Params p_;
  std::vector<xp::ParameterGroup> groups_;
  std::vector<std::unique_ptr<Slot>> order_;  // by place in the groups
  std::unordered_map<const void*, Slot*> slots_;
};

template <bool decoupled>
void Adam<decoupled>::start(std::vector<xp::ParameterGroup> groups) {
  groups_ = std::move(groups);
  order_.clear(), slots_.clear();
  for (const auto& group : groups_)
    for (const auto* x : group.tensors)
      slots_[x->unsafeGetTensorImpl()] = order_.emplace_back(std::make_unique<Slot>()).get();
}

template <bool decoupled>
void Adam<decoupled>::update(double lr) {
  const at::NoGradGuard quiet;
  std::size_t place = 0;
  for (const auto& group : groups_) {
    std::vector<std::vector<std::pair<const at::Tensor*, Slot*>>> parts;  // one fused call takes one type and device
    for (const auto* x : group.tensors) {
      Slot& slot = *order_[place++];
      if (!x->grad().defined()) continue;
      if (!slot.mean.defined()) slot.make(*x);
      if (!p_.bias_correction) {
        written_out(*x, slot, lr * group.lr_scale, group.weight_decay);
        continue;
      }
      auto part = parts.begin();
      while (part != parts.end() &&
             (part->front().first->scalar_type() != x->scalar_type() || part->front().first->device() != x->device()))
        ++part;
      if (part == parts.end()) part = parts.emplace(part);
      part->emplace_back(x, &slot);
    }
    for (const auto& part : parts) fused(part, lr * group.lr_scale, group.weight_decay);
  }
}

template <bool decoupled>
void Adam<decoupled>::fused(const std::vector<std::pair<const at::Tensor*, Slot*>>& part, double lr, double decay) {
  std::vector<at::Tensor> x, g, mean, square, steps;
  for (const auto& [tensor, slot] : part) {
    slot->steps.add_(1);
    x.push_back(tensor->detach());  // shares memory; the update is no part of any graph
    g.push_back(tensor->grad().to(tensor->scalar_type()));
    mean.push_back(slot->mean), square.push_back(slot->square), steps.push_back(slot->steps);
  }
  if constexpr (decoupled)
    at::_fused_adamw_(x, g, mean, square, {}, steps, lr, p_.beta1, p_.beta2, decay, p_.epsilon, false, false);
  else
    at::_fused_adam_(x, g, mean, square, {}, steps, lr, p_.beta1, p_.beta2, decay, p_.epsilon, false, false);
}

/// Without bias correction, which the fused kernel always does.
template <bool decoupled>
void Adam<decoupled>::written_out(const at::Tensor& x, Slot& slot, double lr, double decay) {
  slot.steps.add_(1);
  auto g = x.grad().to(x.scalar_type());
  if (decoupled)
    x.mul_(1 - lr * decay);
  else if (decay > 0)
    g = g.add(x, decay);
  slot.mean.lerp_(g, 1 - p_.beta1);
  slot.square.mul_(p_.beta2).addcmul_(g, g, 1 - p_.beta2);
  x.addcdiv_(slot.mean, slot.square.sqrt().add_(p_.epsilon), -lr);
}

template <bool decoupled>
void Adam<decoupled>::save(xp::State& state) const {
  xp::Ints steps;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const auto& slot = *order_[i];
    steps.data.push_back(slot.mean.defined() ? slot.steps.template item<std::int64_t>() : 0);
    if (!slot.mean.defined()) continue;
    state.set("mean." + std::to_string(i), slot.mean);
    state.set("square." + std::to_string(i), slot.square);
  }
  state.set("steps", steps);
}

template <bool decoupled>
void Adam<decoupled>::load(const xp::State& state) {
  const auto& steps = state.ints("steps").data;
  if (steps.size() != order_.size())
    throw xp::Error("the optimizer's state is of " + std::to_string(steps.size()) + " tensors; this stage trains " +
                    std::to_string(order_.size()));
  std::size_t i = 0;
  for (const auto& group : groups_)
    for (const auto* x : group.tensors) {
      Slot& slot = *order_[i];
      const auto number = std::to_string(i);
      if (steps[i++] == 0) {
        slot = {};
        continue;
      }
      const auto &mean = state.tensor("mean." + number), &square = state.tensor("square." + number);
      if (mean.sizes() != x->sizes() || square.sizes() != x->sizes())
        throw xp::Error("tensor " + number +
                        " of the optimizer's state differs in shape from what this stage trains");
      slot.make(*x);
      slot.mean.copy_(mean), slot.square.copy_(square);
      slot.steps.fill_(steps[i - 1]);
    }
}

}  // namespace

XP_PLUGIN(adamw) {
  registry.add<Adam<true>>("adamw", "Adam with decoupled weight decay.");
  registry.add<Adam<false>>("adam", "Adam; weight decay enters the gradient.");
}
