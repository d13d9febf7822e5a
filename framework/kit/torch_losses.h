#pragma once
// Losses at some positions of a batch, summed by item.
#include "api/tensor.h"
#include "base/export.h"

namespace xp {

/// Positions that carry a label.
struct Picked {
  at::Tensor at;      // [n] int64, rising: item * time + t
  at::Tensor item;    // [n] int64
  at::Tensor labels;  // [n] int64
};

/// Where `labels` ([items, time], int64) is not negative.
XP_API Picked labelled(const at::Tensor& labels);

/// Sums of `values` ([n]) by `item` ([n], int64): [items], in float32 or wider.
XP_API at::Tensor sum_by_item(const at::Tensor& values, const at::Tensor& item, std::int64_t items);

/// -log softmax(logits)[label] in nats: [n], computed in float32 or wider. `logits` is [n, classes], `labels` [n]; a
/// negative label costs nothing.
XP_API at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels);

/// cross_entropy summed by item: [items].
XP_API at::Tensor cross_entropy_by_item(const at::Tensor& logits, const Picked& picked, std::int64_t items);

}  // namespace xp
