#pragma once
// Checkpoint algebra: densify, truncate, extend, merge.
#include <span>
#include <vector>

#include "base/random.h"
#include "schema/component.h"

namespace at {
class Tensor;
}

namespace xp {

struct Checkpoint;

/// A number that may be learnt instead of set.
struct Coefficient {
  std::string name;  ///< "position.0", "scale"
  double start = 1;
};

/// "checkpoint_transform": a pure function. A stage runs it once with the starting coefficients; the model `merge`
/// runs it inside its forward pass and learns them.
class XP_API CheckpointTransform : public Component {
 public:
  static constexpr const char* kInterface = "checkpoint_transform";
  ~CheckpointTransform() override;

  virtual std::vector<Coefficient> coefficients(std::size_t inputs) const;  ///< none by default

  /// Parameters are addressed by role and layer. `base` is null unless the recipe names one. `coefficients` holds one
  /// number each, in order; the result is differentiable in them. Throws Error if inputs do not fit together.
  virtual Checkpoint apply(std::span<const Checkpoint* const> inputs, const Checkpoint* base,
                           const at::Tensor& coefficients, const RandomStreams& random) const = 0;
};

}  // namespace xp
