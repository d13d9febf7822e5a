#pragma once
#include "api/tensor.h"
#include "recipe/plan.h"

namespace xp {

/// Where a plan's models are: the CPU or, with `device = "cuda"`, the GPU whose turn it is for process `rank`.
/// Throws Error (exit 2) if this LibTorch finds no such device.
at::Device device_of(const Plan& plan, int rank);

/// With `determinism = "bitwise"` operations without a repeatable way of computing throw from now on.
void set_determinism(const Plan& plan);

/// Says so where a plan asks for a precision that this processor only imitates.
void warn_of_slow_precision(const Plan& plan);

/// Most memory so far, in bytes: that this process had or, of a GPU, that its tensors took there.
double peak_memory(at::Device device);

}  // namespace xp
