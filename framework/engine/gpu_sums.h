#pragma once
// Sums over processes that stay on their GPUs (NCCL).
#include <functional>
#include <memory>

#include "api/tensor.h"

namespace c10d {
class Store;
}

namespace xp {

class GpuSums {
 public:
  virtual ~GpuSums() = default;

  /// None where this build lacks NCCL, `device` is the CPU, or two processes share a GPU, which NCCL refuses.
  /// Collective: all get one or none does.
  static std::unique_ptr<GpuSums> make(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                       at::Device device);

  /// In place. `all_came` returns once every process has begun this sum and throws if one is gone, since the GPU
  /// itself would wait for it forever. What it or NCCL throws passes on; later sums are then refused.
  virtual void sum(at::Tensor& flat, const std::function<void()>& all_came) = 0;
};

}  // namespace xp
