#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "plugin/plugin.h"

namespace {

/// All weights may move again: the zeros stay in the weights, the masks lie in the training state and are left
/// behind.
class Densify final : public xp::CheckpointTransform {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Densify(Params) {}

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    if (inputs.size() != 1) throw xp::Error("`densify` takes one checkpoint, not " + std::to_string(inputs.size()));
    return xp::without_state(*inputs.front());
  }
};

}  // namespace

XP_PLUGIN(densify) { registry.add<Densify>("densify", "Lifts a mask: all weights may move again."); }
