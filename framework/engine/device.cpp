#include "engine/device.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <sys/resource.h>

#include <cstdlib>

#include "base/log.h"
#include "base/text.h"

namespace xp {

at::Device device_of(const Plan& plan, int rank) {
  if (plan.setting.device == "cpu") return at::kCPU;
  if (plan.setting.device == "cuda" && at::hasCUDA())
    return {at::kCUDA, static_cast<at::DeviceIndex>(rank % at::detail::getCUDAHooks().deviceCount())};
  throw Error("device " + backquoted(plan.setting.device) + " is not there; this LibTorch finds the CPU only: set " +
                  "`device = \"cpu\"`, or build with a LibTorch for it in LIBTORCH",
              Exit::usage);
}

void set_determinism(const Plan& plan) {
  const bool bitwise = plan.setting.determinism == "bitwise";
  // cuBLAS repeats its sums only with a workspace of fixed size, which it reads once, before its first product.
  if (bitwise && plan.setting.device == "cuda") setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  at::globalContext().setDeterministicAlgorithms(bitwise, false);
}

void warn_of_slow_precision(const Plan& plan) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (plan.setting.precision == "bfloat16" && plan.setting.device == "cpu" && !__builtin_cpu_supports("avx512bf16"))
    log::warn(
        "this processor has no instructions for bfloat16 and computes it many times slower than float32; set "
        "`precision = \"float32\"` unless the numbers themselves are wanted");
#endif
}

double peak_memory(at::Device device) {
  if (!device.is_cpu())
    return static_cast<double>(at::accelerator::getDeviceStats(device.index()).allocated_bytes[0].peak);
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

}  // namespace xp
