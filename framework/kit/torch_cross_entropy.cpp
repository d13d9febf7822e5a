#include <ATen/Parallel.h>
#include <ATen/ops/_log_softmax_backward_data.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nll_loss_backward.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "api/ops.h"
#include "base/error.h"
#include "base/wide.h"
#include "kit/torch_losses.h"

namespace xp {
namespace {

constexpr std::int64_t kIgnored = -1;
constexpr std::int64_t kBlock = 1 << 18;  ///< logits whose float32 copies stay in a core's caches
constexpr std::int64_t kLanes = 32;       ///< sums beside one another, for the compiler may not reorder one

at::Tensor widened(const at::Tensor& x) {
  const auto type = x.scalar_type();
  return type == at::kHalf || type == at::kBFloat16 ? x.to(at::kFloat) : x;
}

at::Tensor plain(const at::Tensor& logits, const at::Tensor& labels) {
  return at::cross_entropy_loss(widened(logits), labels, {}, at::Reduction::None, kIgnored);
}

at::Tensor plain_gradient(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& gradient) {
  const auto logs = at::log_softmax(widened(logits), 1);
  const auto of_logs = at::nll_loss_backward(gradient, logs, labels, {}, at::Reduction::None, kIgnored,
                                             ops::zeros({}, logs.options()));
  return at::_log_softmax_backward_data(of_logs, logs, 1, logs.scalar_type()).to(logits.scalar_type());
}

[[gnu::always_inline]] inline float number(c10::BFloat16 x) { return std::bit_cast<float>(std::uint32_t{x.x} << 16); }

/// To the nearest, to even between two; the type's own way is not compiled for several numbers at once.
[[gnu::always_inline]] inline c10::BFloat16 nearest(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, made = x != x ? 0x7FC0 : rounded;
  return {static_cast<std::uint16_t>(made), c10::BFloat16::from_bits()};
}

/// eˣ for x <= 0 to 1e-6 of it, not below 2^-126: 2 to the nearest whole number by its bits, to the rest by its
/// series.
[[gnu::always_inline]] inline float exponential(float x) {
  constexpr float kWhole = 0x1.8p23F, kLn2 = std::numbers::ln2_v<float>;
  float t = x * std::numbers::log2e_v<float>;
  t = std::bit_cast<float>(std::min(std::bit_cast<std::uint32_t>(t), std::bit_cast<std::uint32_t>(-126.0F)));
  const float shifted = t + kWhole, rest = (t - (shifted - kWhole)) * kLn2;
  const float series =
      1 + rest * (1 + rest * (1 / 2.F + rest * (1 / 6.F + rest * (1 / 24.F + rest * (1 / 120.F + rest / 720)))));
  return series * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127) << 23);
}

/// The logarithm of the sum of eˣ is the greatest and this beside it; apart, for both may differ much in size.
struct SumOfPowers {
  float greatest, logarithm;
};

/// No numbers where one is none, or the greatest is not finite.
XP_WIDE SumOfPowers sum_of_powers(const c10::BFloat16* x, std::int64_t n) {
  std::uint16_t unknown = 0;
  for (std::int64_t j = 0; j < n; ++j) unknown |= (x[j].x & 0x7FFF) > 0x7F80;
  float most[kLanes], sums[kLanes] = {};
  std::fill_n(most, kLanes, -std::numeric_limits<float>::infinity());
  const auto whole = n / kLanes * kLanes;
  for (std::int64_t j = 0; j < whole; j += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) most[k] = number(x[j + k]) > most[k] ? number(x[j + k]) : most[k];
  for (auto j = whole; j < n; ++j) most[0] = std::max(most[0], number(x[j]));
  const float top = *std::max_element(most, most + kLanes);
  if (unknown || !std::isfinite(top)) return {top, std::numeric_limits<float>::quiet_NaN()};
  for (std::int64_t j = 0; j < whole; j += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) sums[k] += exponential(number(x[j + k]) - top);
  double sum = 0;
  for (auto j = whole; j < n; ++j) sum += exponential(number(x[j]) - top);
  for (const float one : sums) sum += one;
  return {top, static_cast<float>(std::log(sum))};
}

/// (softmax(x) - [label]) * scale.
XP_WIDE void softmax_gradient(const c10::BFloat16* x, std::int64_t n, float log_sum, std::int64_t label, float scale,
                              c10::BFloat16* out) {
  if (std::isnan(log_sum)) return void(std::fill_n(out, n, nearest(log_sum)));
  for (std::int64_t j = 0; j < n; ++j) out[j] = nearest(exponential(number(x[j]) - log_sum) * scale);
  out[label] = (std::exp(number(x[label]) - log_sum) - 1) * scale;
}

/// f(begin, end) of rows, `kBlock` logits or one row at a time, shared by LibTorch's threads.
template <class F>
void each_block(const at::Tensor& logits, const F& f) {
  const auto rows = logits.size(0), some = std::max<std::int64_t>(kBlock / logits.size(1), 1);
  at::parallel_for(0, rows, some, [&](std::int64_t begin, std::int64_t end) {
    for (; begin < end; begin += some) f(begin, std::min(begin + some, end));
  });
}

/// Of bfloat16: losses, and the logarithms of the sums that the way back needs.
std::pair<at::Tensor, at::Tensor> narrow_losses(const at::Tensor& logits, const at::Tensor& labels) {
  const auto n = logits.size(1);
  if (const auto most = labels.max().item<std::int64_t>(); most >= n)
    throw Error("label " + std::to_string(most) + " of " + std::to_string(n) + " classes");
  const auto options = logits.options().dtype(at::kFloat);
  auto losses = ops::empty(labels.sizes(), options), log_sums = ops::empty(labels.sizes(), options);
  const auto* x = logits.const_data_ptr<c10::BFloat16>();
  const auto* label = labels.const_data_ptr<std::int64_t>();
  auto *loss = losses.mutable_data_ptr<float>(), *log_sum = log_sums.mutable_data_ptr<float>();
  each_block(logits, [&](std::int64_t row, std::int64_t end) {
    for (; row < end; ++row) {
      const auto [greatest, logarithm] = sum_of_powers(x + row * n, n);
      log_sum[row] = greatest + logarithm;
      loss[row] = label[row] == kIgnored ? 0 : logarithm + (greatest - number(x[row * n + label[row]]));
    }
  });
  return {losses, log_sums};
}

at::Tensor narrow_gradient(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& log_sums,
                           const at::Tensor& gradient) {
  const auto n = logits.size(1);
  auto out = ops::empty(logits.sizes(), logits.options());
  const auto* x = logits.const_data_ptr<c10::BFloat16>();
  const auto* label = labels.const_data_ptr<std::int64_t>();
  const auto *log_sum = log_sums.const_data_ptr<float>(), *scale = gradient.const_data_ptr<float>();
  auto* made = out.mutable_data_ptr<c10::BFloat16>();
  each_block(logits, [&](std::int64_t row, std::int64_t end) {
    for (; row < end; ++row)
      if (label[row] == kIgnored)
        std::fill_n(made + row * n, n, c10::BFloat16());
      else
        softmax_gradient(x + row * n, n, log_sum[row], label[row], scale[row], made + row * n);
  });
  return out;
}

at::Tensor blocked_losses(const at::Tensor& logits, const at::Tensor& labels) {
  auto losses =
      ops::empty(labels.sizes(), logits.options().dtype(c10::promoteTypes(logits.scalar_type(), at::kFloat)));
  each_block(logits, [&](std::int64_t begin, std::int64_t end) {
    losses.slice(0, begin, end).copy_(plain(logits.slice(0, begin, end), labels.slice(0, begin, end)));
  });
  return losses;
}

at::Tensor blocked_gradient(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& gradient) {
  auto out = ops::empty(logits.sizes(), logits.options());
  each_block(logits, [&](std::int64_t begin, std::int64_t end) {
    out.slice(0, begin, end)
        .copy_(
            plain_gradient(logits.slice(0, begin, end), labels.slice(0, begin, end), gradient.slice(0, begin, end)));
  });
  return out;
}

/// A block of rows after the other: beside the logits nothing of their size is made in float32 or kept, and on the
/// way back only their gradient, in their own type. Numbers are those of `plain`, of bfloat16 to 1e-6.
struct BlockedCrossEntropy final : torch::autograd::Function<BlockedCrossEntropy> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& labels) {
    const auto known = logits.detach();
    if (known.scalar_type() != at::kBFloat16) {
      context->save_for_backward({logits, labels});
      return blocked_losses(known, labels);
    }
    const auto [losses, log_sums] = narrow_losses(known, labels);
    context->save_for_backward({logits, labels, log_sums});
    return losses;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    // Differentiated once more, it must stay a formula.
    if (c10::GradMode::is_enabled()) return {plain_gradient(saved[0], saved[1], gradients[0]), {}};
    const auto known = saved[0].detach(), gradient = gradients[0].contiguous();
    return {saved.size() > 2 ? narrow_gradient(known, saved[1], saved[2], gradient)
                             : blocked_gradient(known, saved[1], gradient),
            {}};
  }
};

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels) {
  const auto known = labels.clamp_min(kIgnored);
  const bool large = logits.is_cpu() && logits.dim() == 2 && labels.dim() == 1 && logits.numel() > kBlock &&
                     logits.size(0) == labels.size(0);
  return large ? BlockedCrossEntropy::apply(logits.contiguous(), known) : plain(logits, known);
}

}  // namespace xp
