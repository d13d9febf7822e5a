#include "engine/host_handle.h"

namespace xp {

ForwardOutput HostHandle::encode(const Batch& batch, const ForwardRequest& want) {
  ForwardRequest asked = want;
  if (asked.at.defined()) asked.at = asked.at.to(device_);
  auto out = plain_.encode(batch.on(device_), asked);
  for (auto* one : {&out.tokens, &out.picked, &out.pooled})
    if (one->defined()) *one = one->cpu();
  for (auto& layer : out.layers) layer = layer.cpu();
  return out;
}

}  // namespace xp
