#include "attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "api/ops.h"
#include "params.h"

namespace xp::transformer {

using at::Tensor;

namespace {

/// Finite, so that a row that may read nothing gives numbers and not NaN; half the range leaves room for the scores.
double forbidden(at::ScalarType type) { return type == at::kHalf ? -3e4 : -1e38; }

Tensor as_bias(const Tensor& allowed, at::ScalarType type) {
  if (!allowed.defined()) return {};
  return ops::zeros(allowed.sizes(), allowed.options().dtype(type))
      .masked_fill_(allowed.logical_not(), forbidden(type));
}

/// Looking into a mask waits for the device; on the CPU it costs nothing beside a layer.
bool all_true(const Tensor& mask) { return mask.is_cpu() && mask.all().item<bool>(); }

bool ends_with_padding(const Tensor& mask) {
  const auto time = mask.size(1);
  return mask.is_cpu() &&
         (time < 2 || mask.narrow(1, 1, time - 1).le(mask.narrow(1, 0, time - 1)).all().item<bool>());
}

}  // namespace

Cut make_cut(const Tensor& at, std::int64_t items, std::int64_t time) {
  const auto item = at.div(time, "floor");
  const auto [sorted, order] = item.sort(/*stable=*/true, 0, false);
  const auto counts = item.bincount({}, items);
  const auto start = counts.cumsum(0) - counts;
  const auto rank = ops::arange(at.size(0), at.options()) - start.index_select(0, sorted);
  Cut cut;
  cut.at = at;
  cut.most = counts.max().item<std::int64_t>();
  cut.slot = item * cut.most + rank.new_empty(rank.sizes()).index_copy_(0, order, rank);
  cut.rows = ops::zeros({items * cut.most}, at.options()).index_copy_(0, cut.slot, at);
  return cut;
}

Reach Reach::at(const Cut& cut, std::int64_t items, std::int64_t time) const {
  Reach out = *this;
  out.causal = false;
  const auto pick = [&](const Tensor& x) {
    const auto heads = x.size(1), keys = x.size(3);
    return x.transpose(1, 2)
        .expand({items, time, heads, keys})
        .reshape({items * time, heads, keys})
        .index_select(0, cut.rows)
        .view({items, cut.most, heads, keys})
        .transpose(1, 2);
  };
  if (relative.defined()) out.relative = pick(relative);
  if (allowed.defined() && allowed.size(2) > 1) {
    out.allowed = pick(allowed);
    out.bias = pick(bias);
  }
  if (causal) {  // never together with a mask, see make_reach
    const auto query = cut.rows.remainder(time).view({items, 1, cut.most, 1});
    out.allowed = ops::arange(time, cut.rows.options()).le(query);
    out.bias = Tensor();
  }
  return out;
}

Reach make_reach(const ForwardInput& in, bool causal, std::int64_t time, at::ScalarType type) {
  Reach reach;
  const bool whole = !in.keys.defined();
  const auto before = in.cache ? in.cache->time() : 0;
  if (in.mask.defined() && in.mask.dim() == 2) {
    // A causal query before the padding never reads it, and what queries in the padding give is never read.
    const bool needless = all_true(in.mask) || (causal && whole && ends_with_padding(in.mask));
    if (!needless) reach.allowed = in.mask.unsqueeze(1).unsqueeze(1);
  } else if (in.mask.defined()) {
    reach.allowed = in.mask.unsqueeze(1);
  }
  if (before > 0 && time == 1) causal = false;  // the only query is the last of all times
  reach.causal = causal && whole && before == 0 && !reach.allowed.defined();
  if (causal && !reach.causal) {
    const auto device = (in.ids.defined() ? in.ids : in.vectors).device();
    const auto past = ops::ones({1, 1, time, before + time}, at::TensorOptions(device).dtype(at::kBool)).tril(before);
    reach.allowed = reach.allowed.defined() ? reach.allowed.logical_and(past) : past;
  }
  if (!whole && reach.allowed.defined()) reach.allowed = reach.allowed.index_select(3, in.keys);
  reach.bias = as_bias(reach.allowed, type);
  return reach;
}

Reach make_memory_reach(const ForwardInput& in, at::ScalarType type) {
  Reach reach;
  if (in.memory_mask.defined() && !all_true(in.memory_mask)) reach.allowed = in.memory_mask.unsqueeze(1).unsqueeze(1);
  reach.bias = as_bias(reach.allowed, type);
  return reach;
}

namespace {

/// Three plain calls: what is left where weights are dropped, and on the CPU faster than the fused kernel in
/// bfloat16.
Tensor attend_plainly(const Tensor& q, Tensor k, Tensor v, const Reach& reach, const Tensor& bias, const Thin& thin) {
  if (const auto group = q.size(1) / k.size(1); group > 1)
    k = k.repeat_interleave(group, 1), v = v.repeat_interleave(group, 1);
  if (reach.scaled) k = k * (1 / std::sqrt(static_cast<double>(q.size(3))));
  const auto scores = q.matmul(k.transpose(-2, -1));
  if (bias.defined()) scores.add_(bias);
  if (reach.causal) {
    const auto past = ops::ones({q.size(2), k.size(2)}, q.options().dtype(at::kBool)).tril();
    scores.masked_fill_(past.logical_not(), forbidden(q.scalar_type()));
  }
  const auto weights = scores.softmax(-1);
  return (thin ? thin(weights) : weights).matmul(v);
}

}  // namespace

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Reach& reach, const Thin& thin) {
  auto bias = reach.bias.defined() ? reach.bias : as_bias(reach.allowed, q.scalar_type());
  if (reach.relative.defined()) bias = bias.defined() ? bias + reach.relative : reach.relative;
  const bool plain = thin || (q.is_cpu() && q.scalar_type() == at::kBFloat16) || (reach.causal && bias.defined());
  if (plain) return attend_plainly(q, k, v, reach, bias, thin);
  std::optional<Tensor> mask;
  if (bias.defined()) mask = bias;
  // The kernel divides by the square root of the width, whatever is wanted.
  const auto asked = reach.scaled ? q : q * std::sqrt(static_cast<double>(q.size(3)));
  return ops::scaled_dot_product_attention(asked, k, v, mask, reach.causal, q.size(1) != k.size(1));
}

namespace {

/// Turns per position of each pair, and the factor on cosines and sines.
std::pair<std::vector<double>, double> wave_numbers(const Params& p) {
  const auto h = static_cast<double>(p.head_width());
  const auto old = static_cast<double>(p.rope_time);
  std::vector<double> out;
  for (std::int64_t i = 0; i < p.head_width(); i += 2)
    out.push_back(1 / std::pow(static_cast<float>(p.rope_theta), static_cast<float>(static_cast<double>(i) / h)));
  // The pair that turns so many times within the old length.
  const auto pair_of = [&](double turns) {
    return h * std::log(old / (turns * 2 * std::numbers::pi)) / (2 * std::log(p.rope_theta));
  };
  const auto low = std::max(std::floor(pair_of(p.rope_high)), 0.0);
  auto high = std::min(std::ceil(pair_of(p.rope_low)), h - 1);
  if (high == low) high += 1e-3;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double whole = out[i], stretched = whole / p.rope_factor, turns = old * whole / (2 * std::numbers::pi);
    double kept = 0;  // share of the wave length as it was
    if (p.rope_scaling == RopeScaling::none) kept = 1;
    if (p.rope_scaling == RopeScaling::llama3)
      kept = std::clamp((turns - p.rope_low) / (p.rope_high - p.rope_low), 0.0, 1.0);
    if (p.rope_scaling == RopeScaling::yarn)
      kept = 1 - std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    out[i] = kept * whole + (1 - kept) * stretched;
  }
  return {out, p.rope_scaling == RopeScaling::yarn ? 0.1 * std::log(p.rope_factor) + 1 : 1};
}

}  // namespace

std::pair<Tensor, Tensor> rotary_angles(const Tensor& positions, const Params& p, at::ScalarType type) {
  const auto real = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto [waves, factor] = wave_numbers(p);
  const auto step = ops::tensor(waves, at::kDouble).to(positions.options().dtype(real));
  const auto half = positions.clamp_min(0).to(real).unsqueeze(-1) * step;
  const auto both = ops::cat({half, half}, -1);
  if (factor == 1) return {both.cos().to(type), both.sin().to(type)};
  return {both.cos().mul(factor).to(type), both.sin().mul(factor).to(type)};
}

Tensor relative_classes(const Tensor& queries, const Tensor& keys, bool both_ways, std::int64_t classes,
                        std::int64_t reach) {
  const auto distance = keys.unsqueeze(-2) - queries.unsqueeze(-1);
  if (both_ways) classes /= 2;
  const auto later = both_ways ? distance.gt(0).to(at::kLong) * classes : ops::zeros(distance.sizes(), at::kLong);
  const auto far = both_ways ? distance.abs() : distance.neg().clamp_min(0);
  const auto near = classes / 2;
  const double step =
      static_cast<double>(classes - near) / std::log(static_cast<double>(reach) / static_cast<double>(near));
  const auto logarithmic =
      (far.to(at::kFloat).div(static_cast<double>(near)).log() * step).to(at::kLong).add(near).clamp_max(classes - 1);
  return later.to(distance.device()) + far.where(far.lt(near), logarithmic);
}

Tensor rotate(const Tensor& x, const std::pair<Tensor, Tensor>& angles) {
  const auto halves = x.chunk(2, -1);
  return x * angles.first.unsqueeze(-2) + ops::cat({-halves[1], halves[0]}, -1) * angles.second.unsqueeze(-2);
}

Tensor sinusoids(const Tensor& positions, std::int64_t width, at::ScalarType type) {
  const auto real = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto step = ops::arange(0, width, 2, positions.options().dtype(real)).mul_(-std::log(10000.0) / width).exp_();
  const auto angle = positions.clamp_min(0).to(real).unsqueeze(-1) * step;
  const auto waves = ops::stack({angle.sin(), angle.cos()}, -1).flatten(-2);
  return (waves * positions.ge(0).unsqueeze(-1)).to(type);
}

}  // namespace xp::transformer
