#pragma once
#include "api/batch.h"
#include "api/evaluator.h"

namespace xp {

/// What evaluators get: tensors go in and come out on the CPU, wherever the model is.
class HostHandle : public WrappedHandle {
 public:
  HostHandle(Handle& plain, at::Device device) : WrappedHandle(plain), device_(device) {}

  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override;
  ForwardOutput encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) override;
  at::Tensor logits(const at::Tensor& hidden) override;
  std::vector<Score> score(const Batch& batch) override;
  Strings generate(const Batch& batch, const Table& sampling, RandomStream random) override;
  at::Tensor predict(const Batch& batch, std::string_view field) override;

 private:
  at::Device device_;
};

}  // namespace xp
