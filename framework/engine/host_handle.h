#pragma once
#include "api/batch.h"
#include "api/evaluator.h"

namespace xp {

/// What evaluators get: tensors go in and come out on the CPU, wherever the model is.
class HostHandle : public WrappedHandle {
 public:
  HostHandle(Handle& plain, at::Device device) : WrappedHandle(plain), device_(device) {}

  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override;
  at::Tensor logits(const at::Tensor& hidden) override { return plain_.logits(hidden.to(device_)).cpu(); }
  std::vector<Score> score(const Batch& batch) override { return plain_.score(batch.on(device_)); }
  Strings generate(const Batch& batch, const Table& sampling, RandomStream random) override {
    return plain_.generate(batch.on(device_), sampling, random);
  }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    return plain_.predict(batch.on(device_), field).cpu();
  }

 private:
  at::Device device_;
};

}  // namespace xp
