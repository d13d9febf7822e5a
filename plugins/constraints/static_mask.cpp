// Weights that stay zero during a stage (SPDF, Thangarasa et al. 2023, section 2.1).
#include <c10/core/GradMode.h>

#include <map>
#include <span>

#include "api/constraint.h"
#include "api/ops.h"
#include "api/optimizer.h"
#include "api/parameters.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

class StaticMask final : public xp::Constraint {
 public:
  struct Params {
    double sparsity = 0.5;
    std::string on = "role:dense", keep = "random";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::sparsity, "sparsity", "Share of zeros in each matrix, with `keep = \"random\"`.")
          .min(0)
          .below(1);
      f.add(&Params::on, "on", "Which parameters: \"role:dense\", \"name:layer.*\", \"layer:2\", \"*\".");
      f.add(&Params::keep, "keep", "Which weights live: drawn at random, or those that are not zero now.")
          .choices({"random", "zeros"});
    }
  };
  explicit StaticMask(Params p) : p_(std::move(p)) {}

  void start(xp::Parameters& all, const xp::RandomStreams& random) override {
    const at::NoGradGuard quiet;
    const auto chosen = all.select(p_.on);
    if (chosen.empty()) throw xp::Error("no parameter fits `on` = " + xp::backquoted(p_.on));
    for (const auto i : chosen) {
      auto& mask = masks_[all.info[i].name];
      if (!mask.defined()) mask = drawn(all.values[i], random.child(all.info[i].name));
      all.values[i].mul_(mask);
    }
  }

  void after_backward(xp::Parameters& all) override {
    for (const auto& [name, mask] : masks_)
      if (auto& gradient = all.values[all.find(name)].mutable_grad(); gradient.defined()) gradient.mul_(mask);
  }

  void after_update(xp::Parameters& all, xp::Optimizer& optimizer) override {
    const at::NoGradGuard quiet;
    for (const auto& [name, mask] : masks_) {
      auto& value = all.values[all.find(name)];
      value.mul_(mask);
      for (auto& moment : optimizer.state_of(value))
        if (moment.sizes() == mask.sizes()) moment.mul_(mask);
    }
  }

  double density(const xp::ParameterInfo& info) const override {
    const auto found = masks_.find(info.name);
    return found == masks_.end() ? 1 : found->second.mean().item<double>();
  }

  void save(xp::State& state) const override {
    for (const auto& [name, mask] : masks_) state.child("mask").set(name, mask);
  }
  void load(const xp::State& state) override {
    for (auto& [name, mask] : masks_) mask.copy_(state.child("mask").tensor(name));
  }

 private:
  at::Tensor drawn(const at::Tensor& value, const xp::RandomStreams& random) const {
    if (p_.keep == "zeros") return value.ne(0).to(value.scalar_type());
    auto mask = xp::ops::empty(value.sizes(), at::kFloat);
    auto stream = random.stream();
    for (auto& x : std::span(mask.mutable_data_ptr<float>(), static_cast<std::size_t>(mask.numel())))
      x = stream.uniform() >= p_.sparsity ? 1.0F : 0.0F;
    return mask.to(value.options());
  }

  Params p_;
  std::map<std::string, at::Tensor, std::less<>> masks_;
};

}  // namespace

XP_PLUGIN(static_mask) { registry.add<StaticMask>("static_mask", "Fixed zeros in chosen matrices."); }
