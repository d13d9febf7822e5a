#include "image.h"

#include <array>

#include "api/batch.h"
#include "api/ops.h"
#include "base/text.h"

namespace xp::transformer {

using at::Tensor;

namespace {

std::string sizes_text(at::IntArrayRef sizes) {
  Strings parts;
  for (const auto n : sizes) parts.push_back(std::to_string(n));
  return "[" + join(parts, ", ") + "]";
}

}  // namespace

PatchEmbedding plan_patches(BuildContext& context, const Params& p) {
  PatchEmbedding out;
  out.first = context.add({"embedding.class", "position"}, {p.width}, {0, p.init_sd});
  out.map =
      context.add({"embedding.patch", "dense"}, {p.width, p.channels, p.patch_size, p.patch_size}, {0, p.init_sd});
  if (p.patch_bias) out.bias = context.add({"embedding.patch.bias", "bias"}, {p.width}, {0, 0});
  return out;
}

const Tensor& image_of(const ForwardInput& in, const Params& p) {
  if (!in.fields)
    throw Error("a transformer with input = \"image\" reads the field `image`; the pass gives no fields");
  const auto& image = in.fields->dense("image");
  const std::array<std::int64_t, 4> wanted{image.dim() == 4 ? image.size(0) : -1, p.channels, p.image_size,
                                           p.image_size};
  if (image.sizes() != at::IntArrayRef(wanted))
    throw Error("the field `image` has the shape " + sizes_text(image.sizes()) + "; the model reads [items, " +
                std::to_string(p.channels) + ", " + std::to_string(p.image_size) + ", " +
                std::to_string(p.image_size) + "]");
  if (!image.is_floating_point())
    throw Error(
        "the field `image` has whole numbers; the model reads floating-point ones, as `image_mean` and "
        "`image_sd` leave them");
  return image;
}

Tensor embed_patches(const PatchEmbedding& e, const Params& p, Weights w, const Tensor& image) {
  const auto& map = w[e.map];
  const auto size = p.patch_size;
  const auto patches = image.to(map.scalar_type())
                           .unfold(2, size, size)
                           .unfold(3, size, size)
                           .permute({0, 2, 3, 1, 4, 5})
                           .flatten(3)
                           .flatten(1, 2);
  const auto x = e.bias ? ops::linear(patches, map.flatten(1), w[*e.bias]) : ops::linear(patches, map.flatten(1));
  return ops::cat({w[e.first].expand({image.size(0), 1, p.width}), x}, 1);
}

}  // namespace xp::transformer
