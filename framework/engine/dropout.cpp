#include "engine/dropout.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "api/ops.h"
#include "base/error.h"
#include "base/text.h"
#include "base/wide.h"
#include "engine/draws.h"

namespace xp {
namespace {

constexpr std::int64_t kBlock = 64;

std::uint32_t threshold_of(double rate) {
  return static_cast<std::uint32_t>(std::min(std::llround(rate * 0x1p32), 0xFFFFFFFFll));
}

double scale_of(std::uint32_t threshold) { return 1 / (1 - threshold * 0x1p-32); }

/// Elements [begin, begin + n) of a row, n <= kBlock.
XP_WIDE void keep_block(std::uint64_t key, std::uint32_t threshold, std::int64_t begin, std::int64_t n,
                        std::uint8_t* keep) {
  std::uint32_t halves[kBlock];
  for (std::int64_t j = 0; j < kBlock / 2; ++j) {
    const auto number = static_cast<std::uint64_t>(begin / 2 + j + 1);
    const std::uint64_t bits = RandomStream::mix(key + RandomStream::kStep * number);
    halves[2 * j] = static_cast<std::uint32_t>(bits >> 32), halves[2 * j + 1] = static_cast<std::uint32_t>(bits);
  }
  for (std::int64_t k = 0; k < n; ++k) keep[k] = halves[k] >= threshold;
}

XP_WIDE void scale_block(const float* x, const std::uint8_t* keep, float scale, std::int64_t n, float* out) {
  for (std::int64_t k = 0; k < n; ++k) out[k] = keep[k] ? x[k] * scale : 0;
}

/// The same for bfloat16, rounded to nearest even as LibTorch does it; its own product with a mask of another type
/// goes number by number, a twentieth of a small encoder's step.
XP_WIDE void scale_block(const c10::BFloat16* x, const std::uint8_t* keep, float scale, std::int64_t n,
                         c10::BFloat16* out) {
  constexpr std::uint32_t kNotANumber = 0x7FC0;
  for (std::int64_t k = 0; k < n; ++k) {
    const float scaled = std::bit_cast<float>(std::uint32_t{x[k].x} << 16) * scale;
    const auto bits = std::bit_cast<std::uint32_t>(scaled);
    const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    const std::uint32_t made = scaled != scaled ? kNotANumber : rounded;
    out[k].x = static_cast<std::uint16_t>(keep[k] ? made : 0);
  }
}

template <class F>
void each_row(std::int64_t rows, const F& f) {
  at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row);
  });
}

void draw(std::uint32_t threshold, const std::vector<RandomStream>& streams, const at::Tensor& keep) {
  const auto rows = std::ssize(streams), n = keep.numel() / std::max<std::int64_t>(rows, 1);
  auto* kept = static_cast<std::uint8_t*>(keep.mutable_data_ptr());
  each_row(rows, [&](std::int64_t row) {
    for (std::int64_t begin = 0; begin < n; begin += kBlock)
      keep_block(streams[static_cast<std::size_t>(row)].key(), threshold, begin, std::min(kBlock, n - begin),
                 kept + row * n + begin);
  });
}

/// Draws what is kept and applies it in the same pass.
template <class T>
at::Tensor drop_and_draw(const at::Tensor& x, std::uint32_t threshold, const std::vector<RandomStream>& streams,
                         const at::Tensor& keep) {
  const auto rows = std::ssize(streams), n = x.numel() / std::max<std::int64_t>(rows, 1);
  const auto scale = static_cast<float>(scale_of(threshold));
  auto out = ops::empty(x.sizes(), x.options());
  auto* kept = static_cast<std::uint8_t*>(keep.mutable_data_ptr());
  const T* in = x.const_data_ptr<T>();
  T* made = out.mutable_data_ptr<T>();
  each_row(rows, [&](std::int64_t row) {
    for (std::int64_t begin = 0; begin < n; begin += kBlock) {
      const auto size = std::min(kBlock, n - begin), at = row * n + begin;
      keep_block(streams[static_cast<std::size_t>(row)].key(), threshold, begin, size, kept + at);
      scale_block(in + at, kept + at, scale, size, made + at);
    }
  });
  return out;
}

template <class T>
at::Tensor drop_again(const at::Tensor& x, const at::Tensor& keep, double scale) {
  auto out = ops::empty(x.sizes(), x.options());
  const auto* kept = static_cast<const std::uint8_t*>(keep.const_data_ptr());
  const T* in = x.const_data_ptr<T>();
  T* made = out.mutable_data_ptr<T>();
  at::parallel_for(0, x.numel(), 1 << 15, [&](std::int64_t begin, std::int64_t end) {
    for (; begin < end; begin += kBlock)
      scale_block(in + begin, kept + begin, static_cast<float>(scale), std::min(kBlock, end - begin), made + begin);
  });
  return out;
}

at::Tensor dropped_on_cpu(const at::Tensor& x, std::uint32_t threshold, const std::vector<RandomStream>& streams,
                          at::Tensor& keep) {
  keep = ops::empty(x.sizes(), x.options().dtype(at::kBool));
  if (x.scalar_type() == at::kFloat) return drop_and_draw<float>(x, threshold, streams, keep);
  if (x.scalar_type() == at::kBFloat16) return drop_and_draw<c10::BFloat16>(x, threshold, streams, keep);
  draw(threshold, streams, keep);
  return x.mul(keep).mul_(scale_of(threshold));
}

at::Tensor dropped_again(const at::Tensor& x, const at::Tensor& keep, double scale) {
  if (x.is_cpu() && x.scalar_type() == at::kFloat) return drop_again<float>(x.contiguous(), keep, scale);
  if (x.is_cpu() && x.scalar_type() == at::kBFloat16) return drop_again<c10::BFloat16>(x.contiguous(), keep, scale);
  return x.mul(keep).mul_(scale);
}

struct Drop final : torch::autograd::Function<Drop> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, std::int64_t threshold,
                            const std::vector<RandomStream>& streams) {
    const auto least = static_cast<std::uint32_t>(threshold);
    at::Tensor keep, out;
    if (x.is_cpu()) {
      out = dropped_on_cpu(x.contiguous(), least, streams, keep);
    } else {
      const auto n = x.numel() / std::max<std::int64_t>(std::ssize(streams), 1);
      keep = kept_by_tensor(streams, n, threshold * 0x1p-32, x.device()).view(x.sizes());
      out = x.mul(keep).mul_(scale_of(least));
    }
    context->save_for_backward({keep});
    context->saved_data["scale"] = scale_of(least);
    return out;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto keep = context->get_saved_variables()[0];
    return {dropped_again(gradients[0], keep, context->saved_data["scale"].toDouble()), {}, {}};
  }
};

}  // namespace

at::Tensor kept_by_tensor(const std::vector<RandomStream>& streams, std::int64_t per_item, double rate,
                          at::Device device) {
  const auto numbers = numbers_by_tensor(streams, (per_item + 1) / 2, device);
  const auto low = numbers.bitwise_and(std::int64_t{0xFFFFFFFF});
  const auto high = numbers.bitwise_right_shift(32).bitwise_and_(std::int64_t{0xFFFFFFFF});
  const auto halves = ops::stack({high, low}, -1).flatten(1).narrow(1, 0, per_item);
  return halves.ge(static_cast<std::int64_t>(threshold_of(rate)));
}

namespace {

/// A stream for each place of two axes within an item, the same however long these axes are.
std::vector<RandomStream> by_place(const std::vector<RandomStream>& items, std::int64_t first, std::int64_t second) {
  std::vector<RandomStream> out;
  out.reserve(items.size() * static_cast<std::size_t>(first * second));
  for (const auto& item : items)
    for (std::int64_t i = 0; i < first; ++i)
      for (std::int64_t j = 0; j < second; ++j)
        out.push_back(item.fork((static_cast<std::uint64_t>(i) << 32 | static_cast<std::uint64_t>(j)) + 1));
  return out;
}

}  // namespace

at::Tensor keyed_dropout(const at::Tensor& x, double rate, const std::vector<RandomStream>& streams) {
  if (x.dim() == 0 || x.size(0) != std::ssize(streams))
    throw Error("dropout of " + count(x.dim() ? x.size(0) : 0, "row") + " with " + count(streams.size(), "stream"));
  const auto threshold = threshold_of(rate);
  if (threshold == 0 || x.numel() == 0) return x;
  if (x.dim() == 4)
    return keyed_dropout(x.flatten(0, 2), rate, by_place(streams, x.size(1), x.size(2))).view(x.sizes());
  return Drop::apply(x, static_cast<std::int64_t>(threshold), streams);
}

}  // namespace xp
