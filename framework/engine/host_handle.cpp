#include "engine/host_handle.h"

namespace xp {
namespace {

/// A batch as the model reads it; of one that is there already nothing is copied.
class Moved {
 public:
  Moved(const Batch& batch, at::Device device) : batch_(batch) {
    if (!device.is_cpu()) there_ = batch.on(device);
  }
  const Batch& get() const { return there_ ? *there_ : batch_; }

 private:
  const Batch& batch_;
  std::optional<Batch> there_;
};

ForwardRequest there(ForwardRequest want, at::Device device) {
  if (want.at.defined()) want.at = want.at.to(device);
  return want;
}

ForwardOutput here(ForwardOutput out) {
  for (auto* one : {&out.tokens, &out.picked, &out.pooled})
    if (one->defined()) *one = one->cpu();
  for (auto& layer : out.layers) layer = layer.cpu();
  return out;
}

}  // namespace

ForwardOutput HostHandle::encode(const Batch& batch, const ForwardRequest& want) {
  return here(plain_.encode(Moved(batch, device_).get(), there(want, device_)));
}

ForwardOutput HostHandle::encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) {
  return here(plain_.encode_with(Moved(batch, device_).get(), there(want, device_), more.to(device_)));
}

at::Tensor HostHandle::logits(const at::Tensor& hidden) { return plain_.logits(hidden.to(device_)).cpu(); }

std::vector<Score> HostHandle::score(const Batch& batch) { return plain_.score(Moved(batch, device_).get()); }

Strings HostHandle::generate(const Batch& batch, const Table& sampling, RandomStream random) {
  return plain_.generate(Moved(batch, device_).get(), sampling, random);
}

at::Tensor HostHandle::predict(const Batch& batch, std::string_view field) {
  return plain_.predict(Moved(batch, device_).get(), field).cpu();
}

}  // namespace xp
