#pragma once
// Images as sequences of patches.
#include <optional>

#include "api/model.h"
#include "params.h"

namespace xp::transformer {

struct PatchEmbedding {
  Param map = 0;  // [width, channels, patch, patch]
  std::optional<Param> bias;
  Param first = 0;  // [width]: the class token
};

/// Adds the parameters to a model's name space.
PatchEmbedding plan_patches(BuildContext& context, const Params& params);

/// The field `image`; throws Error unless it is [items, channels, size, size] of floating-point numbers.
const at::Tensor& image_of(const ForwardInput& in, const Params& params);

/// The class token, then a linear map of each patch, row by row (Dosovitskiy et al. 2021, equation 1, without
/// positions): [items, 1 + patches, width].
at::Tensor embed_patches(const PatchEmbedding& embedding, const Params& params, Weights w, const at::Tensor& image);

}  // namespace xp::transformer
