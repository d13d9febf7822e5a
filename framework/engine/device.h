#pragma once
#include <c10/core/StreamGuard.h>

#include <optional>

#include "api/tensor.h"
#include "recipe/plan.h"

namespace xp {

/// Where a plan's models are: the CPU or, with `device = "cuda"`, the GPU whose turn it is for process `rank`.
/// Throws Error (exit 2) if this LibTorch finds no such device.
at::Device device_of(const Plan& plan, int rank);

/// While it lives, what this thread computes on `device` has a queue of its own there, so that stages side by side do
/// not wait for each other, and backward passes run in this thread. Nothing for the CPU.
class OwnQueue {
 public:
  explicit OwnQueue(at::Device device);
  ~OwnQueue();
  OwnQueue(const OwnQueue&) = delete;
  OwnQueue& operator=(const OwnQueue&) = delete;

 private:
  std::optional<c10::StreamGuard> queue_;
};

/// The queue of this thread, for a thread that works for it; none for the CPU.
std::optional<c10::Stream> queue_of_thread(at::Device device);

/// With `determinism = "bitwise"` operations without a repeatable way of computing throw from now on.
void set_determinism(const Plan& plan);

/// Says so where a plan asks for a precision that this processor only imitates.
void warn_of_slow_precision(const Plan& plan);

/// Most memory so far, in bytes: that this process had or, of a GPU, that its tensors took there.
double peak_memory(at::Device device);

}  // namespace xp
