#include "api/model.h"
#include "api/ops.h"

namespace xp {
namespace {

constexpr std::int64_t kSpare = 64;  // least spare places: a step that finds none copies the layer

}  // namespace

KeyValueCache::Pair KeyValueCache::append(std::size_t layer, const at::Tensor& keys, const at::Tensor& values) {
  if (room_.size() <= layer) room_.resize(layer + 1);
  auto& room = room_[layer];
  const auto end = time_ + keys.size(2);
  const auto grown = [&](const at::Tensor& old, const at::Tensor& more) {
    if (old.defined() && old.size(2) >= end) return old;
    auto out =
        ops::empty({more.size(0), more.size(1), end + std::max(kSpare, end / 2), more.size(3)}, more.options());
    if (time_ > 0) out.narrow(2, 0, time_).copy_(old.narrow(2, 0, time_));
    return out;
  };
  room.keys = grown(room.keys, keys), room.values = grown(room.values, values);
  room.keys.narrow(2, time_, keys.size(2)).copy_(keys);
  room.values.narrow(2, time_, keys.size(2)).copy_(values);
  return {room.keys.narrow(2, 0, end), room.values.narrow(2, 0, end)};
}

void KeyValueCache::set_memory(std::size_t layer, Pair pair) {
  if (memory_.size() <= layer) memory_.resize(layer + 1);
  memory_[layer] = std::move(pair);
}

void KeyValueCache::select(const at::Tensor& items) {
  for (auto* list : {&room_, &memory_})
    for (auto& pair : *list)
      if (pair.keys.defined()) pair = {pair.keys.index_select(0, items), pair.values.index_select(0, items)};
}

}  // namespace xp
