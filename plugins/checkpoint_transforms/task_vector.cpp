#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// base + sum of scale_i * (theta_i - base): what each learnt is added, or taken away with a negative scale (Ilharco
/// et al. 2023, section 2).
class TaskVector final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::vector<double> scales;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::scales, "scales", "One per checkpoint; empty: 1 for all.");
    }
  };
  explicit TaskVector(Params p) : p_(std::move(p)) {}

  std::vector<xp::Coefficient> coefficients(std::size_t inputs) const override {
    if (!p_.scales.empty() && p_.scales.size() != inputs)
      throw xp::Error("`scales` has " + xp::count(p_.scales.size(), "number") + " for " +
                      xp::count(inputs, "checkpoint"));
    std::vector<xp::Coefficient> all;
    for (std::size_t i = 0; i < inputs; ++i)
      all.push_back({"scale." + std::to_string(i), p_.scales.empty() ? 1.0 : p_.scales[i]});
    return all;
  }

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint* base,
                       const at::Tensor& coefficients, const xp::RandomStreams&) const override {
    if (!base) throw xp::Error("`task_vector` needs `from`: the model that all inputs started from");
    std::vector<const xp::Checkpoint*> all{base};
    all.insert(all.end(), inputs.begin(), inputs.end());
    xp::check_alike(all, "`task_vector`");
    std::vector<at::Tensor> moved;
    for (const auto i : base->parameters.distinct()) {
      const auto& start = base->parameters.values[i];
      auto sum = start;
      for (std::size_t k = 0; k < inputs.size(); ++k)
        sum = sum + (inputs[k]->parameters.values[i] - start) * coefficients[static_cast<std::int64_t>(k)];
      moved.push_back(sum);
    }
    return xp::with_values(*base, moved);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(task_vector) {
  registry.add<TaskVector>("task_vector", "Adds what checkpoints learnt to what they started from.");
}
