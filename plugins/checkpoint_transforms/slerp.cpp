
#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "kit/checkpoint_algebra.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

constexpr double kParallel = 0.9995;  ///< above this cosine the sphere is flat, and its formula divides by nearly 0

/// Task vectors joined one after the other on the sphere, then added to the base with a scale. The weight of the n-th
/// is its position against the mean of those before; positions and scale can be learnt (Self Positioning).
class Slerp final : public xp::CheckpointTransform {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Slerp(Params) {}

  std::vector<xp::Coefficient> coefficients(std::size_t inputs) const override {
    std::vector<xp::Coefficient> all;
    for (std::size_t i = 0; i < inputs; ++i) all.push_back({"position." + std::to_string(i), 1});
    all.push_back({"scale", 1});
    return all;
  }

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint* base, const Tensor& a,
                       const xp::RandomStreams&) const override {
    if (!base) throw xp::Error("`slerp` needs `from`: the model that all inputs started from");
    std::vector<const xp::Checkpoint*> all{base};
    all.insert(all.end(), inputs.begin(), inputs.end());
    xp::check_alike(all, "`slerp`");
    const auto count = static_cast<std::int64_t>(inputs.size());
    auto joined = change(*inputs.front(), *base);
    for (std::int64_t n = 1; n < count; ++n) {
      const auto share = a[n] / (a[n] + a.narrow(0, 0, n).mean());
      joined = between(joined, change(*inputs[static_cast<std::size_t>(n)], *base), share);
    }
    std::vector<Tensor> moved;
    std::int64_t at = 0;
    for (const auto i : base->parameters.distinct()) {
      const auto& start = base->parameters.values[i];
      moved.push_back(start + a[count] * joined.narrow(0, at, start.numel()).view_as(start));
      at += start.numel();
    }
    return xp::with_values(*base, moved);
  }

 private:
  static Tensor change(const xp::Checkpoint& to, const xp::Checkpoint& from) {
    std::vector<Tensor> parts;
    for (const auto i : from.parameters.distinct())
      parts.push_back((to.parameters.values[i] - from.parameters.values[i]).flatten());
    return xp::ops::cat(parts);
  }

  // Shoemake 1985: sin((1 - t) w) / sin w * a + sin(t w) / sin w * b, with w the angle between a and b.
  static Tensor between(const Tensor& a, const Tensor& b, const Tensor& t) {
    const auto cosine = a.dot(b) / (a.norm() * b.norm()).clamp_min(1e-12);
    if (cosine.abs().item<double>() > kParallel) return a * (1 - t) + b * t;
    const auto angle = cosine.clamp(-1, 1).acos();
    return (a * ((1 - t) * angle).sin() + b * (t * angle).sin()) / angle.sin();
  }
};

}  // namespace

XP_PLUGIN(slerp) { registry.add<Slerp>("slerp", "Changes of checkpoints joined on the sphere."); }
