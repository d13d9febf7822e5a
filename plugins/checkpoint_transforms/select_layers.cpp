#include "api/checkpoint_transform.h"
#include "kit/checkpoint_layers.h"
#include "plugin/plugin.h"

namespace {

/// Keeps some layers, in the order given, and all parameters that lie in no layer. With repeated numbers the model
/// grows: depth up-scaling joins layers 0 .. n - m with m .. n (SOLAR, Kim et al. 2023).
class SelectLayers final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::vector<std::int64_t> layers;
    std::string setting = "layers";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::layers, "layers", "Old layers, one for each new layer from below; numbers may repeat.")
          .min(0)
          .required();
      f.add(&Params::setting, "setting", "The model's key that holds the number of layers.");
    }
  };
  explicit SelectLayers(Params p) : p_(std::move(p)) {}

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    return xp::with_layers(xp::only_checkpoint(inputs, "select_layers"), p_.layers, p_.setting);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(select_layers) { registry.add<SelectLayers>("select_layers", "Keeps, reorders or repeats layers."); }
