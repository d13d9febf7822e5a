#pragma once
// Layers of a checkpoint: kept, moved, repeated. What lies in which layer the parameters say themselves.
#include <string>
#include <vector>

#include "api/parameters.h"

namespace xp {

/// The checkpoint of a transform that takes one; throws Error, which names it, for any other number of inputs.
XP_API const Checkpoint& only_checkpoint(std::span<const Checkpoint* const> inputs, std::string_view transform);

/// Layers that the parameters lie in: the largest index and one.
XP_API std::int64_t layer_count(const Parameters& parameters);

/// "attention.query" of "layer.3.attention.query"; the whole name of what lies in no layer.
XP_API std::string name_in_layer(const ParameterInfo& info);

/// The same model whose layer i is a copy of the old layer `layers[i]`; numbers may repeat. Parameters in no layer
/// stay as they are, training state is left behind. `setting` is the model's key that holds the number of layers.
/// Throws Error for a layer that is not there, and where layers cannot be told from their parameters' names.
XP_API Checkpoint with_layers(const Checkpoint& model, const std::vector<std::int64_t>& layers,
                              const std::string& setting);

}  // namespace xp
