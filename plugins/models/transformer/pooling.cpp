#include "pooling.h"

#include "api/ops.h"
#include "base/error.h"
#include "kit/torch_operators.h"

namespace xp::transformer {

using at::Tensor;

Pool pool_of(const ForwardRequest& want, const Params& p) {
  switch (want.pooling) {
    case Pooling::first: return Pool::first;
    case Pooling::mean: return Pool::mean;
    case Pooling::last: return Pool::last;
    case Pooling::own:
    case Pooling::none: break;
  }
  return p.pooling;
}

Tensor pooled_positions(const ForwardInput& in, Pool pool, std::int64_t end, std::int64_t items, std::int64_t time) {
  if (pool == Pool::mean) return {};
  const auto& x = in.ids.defined() ? in.ids : in.vectors;
  const auto first = ops::arange(items, x.options().dtype(at::kLong)) * time;
  if (pool == Pool::first) return first;
  const bool masked = in.mask.defined() && in.mask.dim() == 2;
  const auto last = masked ? first + (in.mask.sum(1) - 1).clamp_min(0) : first + (time - 1);
  if (pool == Pool::last) return last;
  if (!in.ids.defined()) throw Error("pooling = \"end\" looks for the end token, so the input must be `ids`");
  auto ends = in.ids.eq(end);
  if (masked) ends = ends.logical_and(in.mask);
  // Of equal numbers argmax gives the first.
  return (first + ends.to(at::kInt).argmax(1)).where(ends.any(1), last);
}

}  // namespace xp::transformer
