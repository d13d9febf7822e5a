#include "engine/tensor_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <unordered_map>
#include <utility>

namespace xp {
namespace {

constexpr std::size_t kLarge = std::size_t{1} << 20, kPage = std::size_t{1} << 12, kHuge = std::size_t{2} << 20;
constexpr std::size_t kRegion = std::size_t{1} << 30;  ///< asked of the system at once; pages come when touched

/// Pieces of memory for tensors: the smallest free one that is large enough, cut to size; neighbours that are free
/// become one again. Steps that ask for the same sizes in the same order find the same pages.
class TensorMemory final : public c10::Allocator {
 public:
  static TensorMemory& only() {
    static auto* memory = new TensorMemory;  // tensors may outlive everything else
    return *memory;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < kLarge) return small_.allocate(bytes);
    void* data = take((bytes + kPage - 1) / kPage * kPage);
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

  void trim() {
    const std::lock_guard lock(mutex_);
    for (const auto& [start, size] : free_) ::munmap(start, size);
    free_.clear(), by_size_.clear();
  }

 private:
  using Start = char*;

  TensorMemory() : small_(*c10::GetDefaultCPUAllocator()) {}

  static void give_back(void* data) { only().put(static_cast<Start>(data)); }

  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    auto found = by_size_.lower_bound({size, nullptr});
    if (found == by_size_.end()) {
      map(size);
      found = by_size_.lower_bound({size, nullptr});
    }
    const auto [free, start] = *found;
    by_size_.erase(found), free_.erase(start);
    if (free > size) add(start + size, free - size);
    sizes_.emplace(start, size);
    return start;
  }

  void put(Start start) {
    std::unique_lock lock(mutex_);
    const auto found = sizes_.find(start);
    if (found == sizes_.end()) {
      lock.unlock();
      return small_.raw_deleter()(start);
    }
    const auto size = found->second;
    sizes_.erase(found);
    join(start, size);
  }

  void join(Start start, std::size_t size) {
    const auto after = free_.lower_bound(start);
    if (after != free_.end() && after->first == start + size) size += remove(after);
    const auto next = free_.lower_bound(start);
    if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == start) {
      const auto before = std::prev(next);
      start = before->first;
      size += remove(before);
    }
    add(start, size);
  }

  void add(Start start, std::size_t size) {
    free_.emplace(start, size);
    by_size_.emplace(size, start);
  }

  std::size_t remove(std::map<Start, std::size_t>::iterator piece) {
    const auto [start, size] = *piece;
    by_size_.erase({size, start});
    free_.erase(piece);
    return size;
  }

  // A whole region, or what is asked for where a limit on addresses forbids more.
  void map(std::size_t size) {
    const auto whole = (size + kHuge - 1) / kHuge * kHuge;
    for (const auto wanted : {std::max(whole, kRegion), whole}) {
      void* start =
          ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (start == MAP_FAILED) continue;
      ::madvise(start, wanted, MADV_HUGEPAGE);  // a wish
      return join(static_cast<Start>(start), wanted);
    }
    throw std::bad_alloc();
  }

  c10::Allocator& small_;
  std::mutex mutex_;
  std::unordered_map<Start, std::size_t> sizes_;     ///< of pieces in use
  std::map<Start, std::size_t> free_;                ///< sizes of free pieces
  std::set<std::pair<std::size_t, Start>> by_size_;  ///< the same
};

}  // namespace

void keep_tensor_memory() {
  static const bool done = [] {
    c10::SetCPUAllocator(&TensorMemory::only());
    // oneDNN compiles a product for each shape and LibTorch keeps it; where steps differ in their number of labels, a
    // thousand of them, which is what both keep else, take 400 MB. A step has far fewer than these.
    for (const char* capacity : {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"})
      ::setenv(capacity, "256", /*overwrite=*/0);
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
