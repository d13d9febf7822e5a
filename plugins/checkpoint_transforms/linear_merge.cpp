#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// Weighted mean of all parameters (model soups, Wortsman et al. 2022, section 2). The weights are normalised to
/// sum 1.
class LinearMerge final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::vector<double> weights;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::weights, "weights", "One per checkpoint; empty: all the same.").min(0);
    }
  };
  explicit LinearMerge(Params p) : p_(std::move(p)) {}

  std::vector<xp::Coefficient> coefficients(std::size_t inputs) const override {
    if (!p_.weights.empty() && p_.weights.size() != inputs)
      throw xp::Error("`weights` has " + xp::count(p_.weights.size(), "number") + " for " +
                      xp::count(inputs, "checkpoint"));
    std::vector<xp::Coefficient> all;
    for (std::size_t i = 0; i < inputs; ++i)
      all.push_back({"weight." + std::to_string(i), p_.weights.empty() ? 1.0 : p_.weights[i]});
    return all;
  }

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*,
                       const at::Tensor& coefficients, const xp::RandomStreams&) const override {
    xp::check_alike(inputs, "`linear_merge`");
    const auto shares = coefficients / coefficients.sum();
    const auto& first = inputs.front()->parameters;
    std::vector<at::Tensor> merged;
    for (const auto i : first.distinct()) {
      at::Tensor sum;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const auto part = inputs[k]->parameters.values[i] * shares[static_cast<std::int64_t>(k)];
        sum = sum.defined() ? sum + part : part;
      }
      merged.push_back(sum);
    }
    return xp::with_values(*inputs.front(), merged);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(linear_merge) { registry.add<LinearMerge>("linear_merge", "Weighted mean of checkpoints."); }
