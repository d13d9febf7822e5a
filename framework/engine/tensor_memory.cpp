#include "engine/tensor_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace xp {
namespace {

constexpr std::size_t kLarge = std::size_t{1} << 20, kPage = std::size_t{1} << 12, kHuge = std::size_t{2} << 20;
constexpr double kMostOver = 1.25;  ///< of what tensors held at most, before free blocks go back to the system

/// Blocks from the system, each whole: in use, or free and waiting for a tensor of about its size.
class TensorMemory final : public c10::Allocator {
 public:
  static TensorMemory& only() {
    static auto* memory = new TensorMemory;  // tensors may outlive everything else
    return *memory;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < kLarge) return small_.allocate(bytes);
    void* data = take(bytes);
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

  void trim() {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty()) unmap(waiting_.begin());
  }

 private:
  struct Free;
  using Waiting = std::list<Free>;
  using BySize = std::multimap<std::size_t, Waiting::iterator>;
  struct Free {
    void* data;
    std::size_t size;
    BySize::iterator place;
  };

  TensorMemory() : small_(*c10::GetDefaultCPUAllocator()) {}

  static void give_back(void* data) { only().put(data); }

  // Sizes come in eighths of powers of two, so that tensors of nearly one size share blocks.
  static std::size_t rounded(std::size_t bytes) {
    const auto step = std::max(bytes >= 2 * kHuge ? kHuge : kPage, std::bit_floor(bytes) / 8);
    return (bytes + step - 1) / step * step;
  }

  void* take(std::size_t bytes) {
    const auto size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    const auto found = by_size_.lower_bound(size);
    if (found != by_size_.end() && found->first <= size + size / 2) {
      const auto block = *found->second;
      waiting_.erase(found->second), by_size_.erase(found);
      free_ -= block.size;
      return hold(block.data, block.size);
    }
    const auto most = static_cast<std::size_t>(kMostOver * static_cast<double>(std::max(peak_, held_ + size)));
    while (!waiting_.empty() && held_ + free_ + size > most) unmap(waiting_.begin());
    return hold(map(size), size);
  }

  void* hold(void* data, std::size_t size) {
    sizes_.emplace(data, size);
    held_ += size, peak_ = std::max(peak_, held_);
    return data;
  }

  void put(void* data) {
    std::unique_lock lock(mutex_);
    const auto found = sizes_.find(data);
    if (found == sizes_.end()) {
      lock.unlock();
      return small_.raw_deleter()(data);
    }
    const auto size = found->second;
    sizes_.erase(found);
    held_ -= size, free_ += size;
    const auto last = waiting_.insert(waiting_.end(), {data, size, {}});
    last->place = by_size_.emplace(size, last);
  }

  // From a multiple of the huge pages' size on, or they would not be used.
  static void* map(std::size_t size) {
    const bool huge = size >= kHuge;
    const auto more = huge ? kHuge : 0;
    auto* all =
        static_cast<char*>(::mmap(nullptr, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (all == MAP_FAILED) throw std::bad_alloc();
    if (!huge) return all;
    const auto before = (kHuge - reinterpret_cast<std::uintptr_t>(all) % kHuge) % kHuge;
    if (before > 0) ::munmap(all, before);
    if (before < more) ::munmap(all + before + size, more - before);
    ::madvise(all + before, size, MADV_HUGEPAGE);  // a wish
    return all + before;
  }

  void unmap(Waiting::iterator block) {
    ::munmap(block->data, block->size);
    free_ -= block->size;
    by_size_.erase(block->place), waiting_.erase(block);
  }

  c10::Allocator& small_;
  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> sizes_;  ///< of blocks in use
  Waiting waiting_;                               ///< those given back longest ago first
  BySize by_size_;
  std::size_t held_ = 0, free_ = 0, peak_ = 0;
};

}  // namespace

void keep_tensor_memory() {
  static const bool done = [] {
    c10::SetCPUAllocator(&TensorMemory::only());
#ifdef __GLIBC__
    // The same for what is no tensor, such as the scratch memory of matrix products.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
    return true;
  }();
  static_cast<void>(done);
}

void return_free_memory() {
  TensorMemory::only().trim();
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace xp
