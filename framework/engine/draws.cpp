#include "engine/draws.h"

#include <algorithm>

#include "api/ops.h"

namespace xp {
namespace {

// float32 has no number between this and 1.
constexpr float kBelowOne = 0.99999994F;

std::int64_t as_signed(std::uint64_t bits) { return static_cast<std::int64_t>(bits); }

// x >> n of unsigned numbers; tensors only have the shift that keeps the sign.
at::Tensor shifted(const at::Tensor& x, std::int64_t n) {
  return x.bitwise_right_shift(n).bitwise_and_(as_signed(~std::uint64_t{0} >> n));
}

// RandomStream::mix, element by element; products wrap around as theirs do.
at::Tensor mixed(at::Tensor x) {
  x = x.bitwise_xor_(shifted(x, 30)).mul_(as_signed(0xBF58476D1CE4E5B9ull));
  x = x.bitwise_xor_(shifted(x, 27)).mul_(as_signed(0x94D049BB133111EBull));
  return x.bitwise_xor_(shifted(x, 31));
}

}  // namespace

at::Tensor uniform_rows(const std::vector<RandomStream>& streams, std::int64_t per_item, at::Device device) {
  if (!device.is_cpu()) return uniform_rows_by_tensor(streams, per_item, device);
  auto out = ops::empty({std::ssize(streams), per_item}, at::kFloat);
  auto* data = out.mutable_data_ptr<float>();
  for (auto random : streams)
    for (std::int64_t k = 0; k < per_item; ++k) *data++ = std::min(static_cast<float>(random.uniform()), kBelowOne);
  return out;
}

at::Tensor numbers_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item, at::Device device) {
  std::vector<std::int64_t> keys;
  for (const auto& one : streams) keys.push_back(as_signed(one.key()));
  const auto count = ops::arange(1, per_item + 1, at::TensorOptions(device).dtype(at::kLong));
  return mixed(ops::tensor(keys).to(device).unsqueeze(1).add(count.mul(as_signed(RandomStream::kStep))));
}

at::Tensor uniform_rows_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item,
                                  at::Device device) {
  return shifted(numbers_by_tensor(streams, per_item, device), 11)
      .to(at::kDouble)
      .add_(0.5)
      .mul_(0x1p-53)
      .to(at::kFloat)
      .clamp_max_(kBelowOne);
}

}  // namespace xp
