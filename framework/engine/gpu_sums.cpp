#include "engine/gpu_sums.h"

#ifdef XP_NCCL
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "base/log.h"
#endif

namespace xp {

#ifdef XP_NCCL

namespace {

constexpr auto kPoll = std::chrono::microseconds(20);

/// The host as NCCL names it, and the GPU's place on its bus; device numbers depend on what a launcher lets a process
/// see.
std::string identity(at::Device device) {
  std::string host(256, '\0');
  if (const char* given = std::getenv("NCCL_HOSTID"))
    host = given;
  else if (gethostname(host.data(), host.size()) == 0)
    host = host.c_str();
  std::array<char, 32> bus{};
  C10_CUDA_CHECK(cudaDeviceGetPCIBusId(bus.data(), bus.size(), device.index()));
  return host + " " + bus.data();
}

class Nccl final : public GpuSums {
 public:
  Nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size)
      : group_(c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>("nccl", store),
                                                           rank, size)) {}

  void sum(at::Tensor& flat, const std::function<void()>& all_came) override {
    std::vector<at::Tensor> all{flat};
    const auto work = group_->allreduce(all);
    try {
      all_came();
    } catch (...) {
      group_->abort();  // the GPU waits for a process that is gone
      throw;
    }
    while (!work->isCompleted()) std::this_thread::sleep_for(kPoll);
    work->wait();
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> group_;
};

}  // namespace

std::unique_ptr<GpuSums> GpuSums::make(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                       at::Device device) {
  if (!device.is_cuda()) return nullptr;
  store->set("gpu/" + std::to_string(rank), identity(device));
  std::set<std::string> gpus;
  for (int r = 0; r < size; ++r) gpus.insert(store->get_to_str("gpu/" + std::to_string(r)));
  const bool own = std::ssize(gpus) == size;
  if (rank == 0)
    log::info(own ? "gradients are summed by NCCL" : "processes share a GPU: gradients are summed on the CPU");
  if (!own) return nullptr;
  // An error ends the sum with an exception; the default would end the process, without a checkpoint.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2", 0);
  return std::make_unique<Nccl>(store, rank, size);
}

#else

std::unique_ptr<GpuSums> GpuSums::make(const c10::intrusive_ptr<c10d::Store>&, int, int, at::Device) {
  return nullptr;
}

#endif  // XP_NCCL

}  // namespace xp
