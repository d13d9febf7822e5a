#include "engine/pass_cache.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "api/batch.h"
#include "api/ops.h"

namespace xp {
namespace {

/// Items [begin, end) of a pass, and which of the picked positions are theirs.
struct Part {
  std::int64_t begin = 0, end = 0;
  ForwardInput in = {};
  ForwardRequest want = {};
  Batch fields = {};
  at::Tensor picked = {};  // [n] int64 into `want.at` of the whole pass
};

std::int64_t items_of(const ForwardInput& in) {
  for (const auto* one : {&in.ids, &in.vectors})
    if (one->defined()) return one->size(0);
  return in.fields ? in.fields->items() : 0;
}

/// `part` must stay where it is: its input may point into it.
void cut(const ForwardInput& in, const ForwardRequest& want, Part& part) {
  const auto rows = [&](const at::Tensor& whole) {
    return whole.defined() ? whole.narrow(0, part.begin, part.end - part.begin) : whole;
  };
  part.in = in;
  for (auto* one : {&part.in.ids, &part.in.vectors, &part.in.mask, &part.in.positions, &part.in.memory,
                    &part.in.memory_mask, &part.in.segments, &part.in.sample_id})
    *one = rows(*one);
  if (in.fields) {
    part.fields = in.fields->select(ops::arange(part.begin, part.end, at::kLong));
    part.in.fields = &part.fields;
  }
  part.want = want;
  if (!want.at.defined()) return;
  const auto time = in.ids.defined() ? in.ids.size(1) : in.vectors.size(1);
  part.picked = want.at.ge(part.begin * time).logical_and(want.at.lt(part.end * time)).nonzero().squeeze(1);
  part.want.at = want.at.index_select(0, part.picked).sub(part.begin * time);
}

/// Pairs of one tensor of the part with the same rows of the whole.
template <class Visit>
void pair(const ForwardOutput& part, ForwardOutput& whole, const Visit& visit) {
  visit(part.tokens, whole.tokens, false), visit(part.pooled, whole.pooled, false);
  visit(part.picked, whole.picked, true);
  whole.layers.resize(part.layers.size());
  for (std::size_t i = 0; i < part.layers.size(); ++i) visit(part.layers[i], whole.layers[i], false);
}

}  // namespace

ForwardOutput PassCache::forward(const ForwardInput& in, const ForwardRequest& want, Run run) {
  for (const auto* one : {&in.vectors, &in.memory})
    if (one->defined() && one->requires_grad())
      throw Error(
          "a pass reads what another pass gave, so its batch cannot be run in parts; leave out `batch.micro`");
  Pass pass{in, want, std::move(run), {}};
  const at::NoGradGuard quiet;
  const auto all = items_of(in);
  for (std::int64_t begin = 0; begin < all; begin += items_) {
    Part part{.begin = begin, .end = std::min(begin + items_, all)};
    cut(in, want, part);
    const auto out = pass.run(part.in, part.want);
    pair(out, pass.out, [&](const at::Tensor& rows, at::Tensor& whole, bool picked) {
      if (!rows.defined()) return;
      const auto wide = picked ? want.at.size(0) : all;
      if (!whole.defined()) {
        auto shape = rows.sizes().vec();
        shape[0] = wide;
        whole = ops::empty(shape, rows.options());
      }
      if (picked)
        whole.index_copy_(0, part.picked, rows);
      else
        whole.narrow(0, part.begin, part.end - part.begin).copy_(rows);
    });
  }
  pair(pass.out, pass.out, [](const at::Tensor&, at::Tensor& whole, bool) {
    if (whole.defined()) whole.requires_grad_(true);
  });
  passes_.push_back(std::move(pass));
  return passes_.back().out;
}

void PassCache::backward(const std::function<void()>& before) {
  for (auto& pass : passes_) {
    const auto all = items_of(pass.in);
    for (std::int64_t begin = 0; begin < all; begin += items_) {
      before();
      Part part{.begin = begin, .end = std::min(begin + items_, all)};
      cut(pass.in, pass.want, part);
      const at::AutoGradMode with(true);
      const auto out = pass.run(part.in, part.want);
      at::Tensor sum;
      pair(out, pass.out, [&](const at::Tensor& rows, at::Tensor& whole, bool picked) {
        if (!rows.defined() || !rows.requires_grad() || !whole.grad().defined()) return;
        const auto own = picked ? whole.grad().index_select(0, part.picked)
                                : whole.grad().narrow(0, part.begin, part.end - part.begin);
        const auto product = rows.mul(own).sum();
        sum = sum.defined() ? sum.add(product) : product;
      });
      if (sum.defined()) sum.backward();
    }
  }
  passes_.clear();
}

}  // namespace xp
