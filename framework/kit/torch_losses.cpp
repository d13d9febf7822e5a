#include "kit/torch_losses.h"

#include "api/ops.h"

namespace xp {

namespace {

at::Tensor wide(const at::Tensor& x) {
  const auto type = x.scalar_type();
  return type == at::kHalf || type == at::kBFloat16 ? x.to(at::kFloat) : x;
}

}  // namespace

Picked labelled(const at::Tensor& labels) {
  const auto flat = labels.flatten();
  auto at = flat.ge(0).nonzero().squeeze(1);
  return {at, at.div(std::max<std::int64_t>(labels.size(1), 1), "floor"), flat.index_select(0, at)};
}

at::Tensor sum_by_item(const at::Tensor& values, const at::Tensor& item, std::int64_t items) {
  const auto terms = wide(values);
  return ops::zeros({items}, terms.options()).index_add(0, item, terms);
}

at::Tensor cross_entropy_by_item(const at::Tensor& logits, const Picked& picked, std::int64_t items) {
  return sum_by_item(cross_entropy(logits, picked.labels), picked.item, items);
}

}  // namespace xp
