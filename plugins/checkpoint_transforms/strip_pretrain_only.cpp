#include "api/checkpoint_transform.h"
#include "kit/checkpoint_layers.h"
#include "plugin/plugin.h"

namespace {

/// The bare model: what it was pre-trained with stays behind, by lifetime and never by name.
class StripPretrainOnly final : public xp::CheckpointTransform {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit StripPretrainOnly(Params) {}

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    return bare(xp::only_checkpoint(inputs, "strip_pretrain_only"));
  }

 private:
  static xp::Checkpoint bare(const xp::Checkpoint& model) {
    xp::Checkpoint out;
    out.type = model.type, out.settings = model.settings, out.reserved = model.reserved, out.role = model.role;
    for (xp::Param i = 0; i < model.parameters.size(); ++i) {
      if (model.parameters.info[i].lifetime == xp::Lifetime::pretrain_only) continue;
      out.parameters.info.push_back(model.parameters.info[i]);
      out.parameters.values.push_back(model.parameters.values[i]);
    }
    for (const auto& tower : model.towers) out.towers.push_back(bare(tower));
    return out;
  }
};

}  // namespace

XP_PLUGIN(strip_pretrain_only) {
  registry.add<StripPretrainOnly>("strip_pretrain_only", "The model alone, without what it was pre-trained with.");
}
