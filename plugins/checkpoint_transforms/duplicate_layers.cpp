#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_layers.h"
#include "plugin/plugin.h"

namespace {

/// Copies a stretch of layers behind itself: depth up-scaling, which repeats the middle layers of a trained model
/// (Yi, 01.AI 2024, section 7.3).
class DuplicateLayers final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::int64_t from = 0, to = 0;
    std::string setting = "layers";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::from, "from", "The first layer that is copied, counted from 0.").min(0).required();
      f.add(&Params::to, "to", "The last one; the copies follow it.").min(0).required();
      f.add(&Params::setting, "setting", "The model's key that holds the number of layers.");
    }
  };
  explicit DuplicateLayers(Params p) : p_(std::move(p)) {
    if (p_.from > p_.to)
      throw xp::Error("`from` is " + std::to_string(p_.from) + " and `to` is " + std::to_string(p_.to) +
                      "; the first layer comes before the last");
  }

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    const auto& in = xp::only_checkpoint(inputs, "duplicate_layers");
    const auto there = xp::layer_count(in.parameters);
    if (p_.to >= there)
      throw xp::Error("`to` is " + std::to_string(p_.to) + ", and the model has " +
                      xp::count(static_cast<std::size_t>(there), "layer") + ", counted from 0");
    std::vector<std::int64_t> layers;
    for (std::int64_t i = 0; i <= p_.to; ++i) layers.push_back(i);
    for (std::int64_t i = p_.from; i < there; ++i) layers.push_back(i);
    return xp::with_layers(in, layers, p_.setting);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(duplicate_layers) {
  registry.add<DuplicateLayers>("duplicate_layers", "Copies layers behind themselves: a deeper model.");
}
