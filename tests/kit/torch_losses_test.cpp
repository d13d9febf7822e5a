#include "kit/torch_losses.h"
#include "api/ops.h"
#include "kit/torch_operators.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <torch/csrc/autograd/autograd.h>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("losses at labelled positions add up by item") {
  const auto labels = xp::ops::tensor({-1, 2, -1, 0, -1, -1, -1, -1, 1}, at::kLong).view({3, 3});
  const auto picked = xp::labelled(labels);
  CHECK(picked.at.equal(xp::ops::tensor({1, 3, 8}, at::kLong)));
  CHECK(picked.item.equal(xp::ops::tensor({0, 1, 2}, at::kLong)));
  CHECK(picked.labels.equal(xp::ops::tensor({2, 0, 1}, at::kLong)));
  const auto logits = xp::ops::tensor({0.5, -1.0, 2.0, 1.0, 1.0, 1.0, -3.0, 0.0, 4.0}, at::kDouble).view({3, 3});
  const auto by_item = xp::cross_entropy_by_item(logits, picked, 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    const auto row = logits[i].exp();
    const double expected = -std::log((row[picked.labels[i].item<std::int64_t>()] / row.sum()).item<double>());
    CHECK(std::abs(by_item[i].item<double>() - expected) < 1e-12);
  }
  CHECK(xp::sum_by_item(xp::ops::tensor({1.0, 2.0, 4.0}), xp::ops::tensor({2, 0, 2}, at::kLong), 3)
            .equal(xp::ops::tensor({2.0, 0.0, 5.0})));
}

TEST_CASE("narrow logits are widened, unknown labels cost nothing, nothing labelled costs nothing") {
  const auto logits = xp::ops::empty({4, 7}).normal_().to(at::kBFloat16);
  const auto labels = xp::ops::tensor({3, -1, 6, 0}, at::kLong);
  const auto losses = xp::cross_entropy(logits, labels);
  CHECK(losses.scalar_type() == at::kFloat);
  CHECK(losses[1].item<float>() == 0);
  CHECK(losses.equal(xp::cross_entropy(logits.to(at::kFloat), labels)));
  const auto none = xp::labelled(xp::ops::full({2, 5}, -1, at::kLong));
  CHECK(xp::cross_entropy_by_item(xp::ops::zeros({0, 7}), none, 2).equal(xp::ops::zeros({2})));
}

TEST_CASE("losses of many logits, a block of rows after the other, are LibTorch's, and so are gradients") {
  const auto logits = xp::ops::empty({37, 20000}).normal_(0, 3).requires_grad_(true);
  auto labels = xp::ops::arange(37, at::kLong).mul(541).remainder(20000);
  labels[5] = -1, labels[36] = -7;
  const auto weights = xp::ops::empty({37}).normal_();
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const auto x = logits.to(type);
    const bool narrow = type == at::kBFloat16;
    const auto known = narrow ? x.to(at::kFloat) : x;
    const auto expected = at::cross_entropy_loss(known, labels.clamp_min(-1), {}, at::Reduction::None, -1);
    const auto seen = xp::cross_entropy(x, labels);
    REQUIRE(seen.scalar_type() == expected.scalar_type());
    const auto before = torch::autograd::grad({expected.mul(weights).sum()}, {x})[0];
    const auto after = torch::autograd::grad({seen.mul(weights).sum()}, {x})[0];
    REQUIRE(after.scalar_type() == type);
    if (narrow) {
      CHECK(seen.allclose(expected, 1e-6, 1e-6));
      CHECK(after.allclose(before, 0x1p-7, 1e-30));  // a bfloat16 apart
    } else {
      CHECK(seen.equal(expected));
      CHECK(after.equal(before));
    }
    CHECK_THROWS(xp::cross_entropy(x, labels.add(20000)));
  }
}

TEST_CASE("losses of many narrow logits tell what is no number, and bear what is not finite") {
  const auto logits = xp::ops::empty({16, 20003}).normal_().to(at::kBFloat16);
  const auto labels = xp::ops::full({16}, 20002, at::kLong);
  logits[0][7] = NAN, logits[1][7] = INFINITY, logits[2][7] = -INFINITY, logits[3][20002] = -INFINITY;
  logits[4].fill_(300), logits[5].fill_(-300), logits[6][20002] = 3e38, logits[7][0] = 3e38;
  logits[8][3] = -NAN, logits[9].fill_(-INFINITY);
  const auto expected = at::cross_entropy_loss(logits.to(at::kFloat), labels, {}, at::Reduction::None, -1);
  const auto seen = xp::cross_entropy(logits, labels);
  CHECK(seen.isnan().equal(expected.isnan()));
  CHECK(seen.nan_to_num().allclose(expected.nan_to_num(), 1e-6, 2e-6));
  const auto free = logits.clone().requires_grad_(true);
  const auto wide = free.to(at::kFloat);
  const auto peer = at::cross_entropy_loss(wide, labels, {}, at::Reduction::None, -1).sum();
  const auto before = torch::autograd::grad({peer}, {free})[0];
  const auto after = torch::autograd::grad({xp::cross_entropy(free, labels).sum()}, {free})[0];
  CHECK(after.isnan().any(1).equal(before.isnan().any(1)));
  const auto finite = before.isnan().any(1).logical_not().nonzero().squeeze(1);
  CHECK(finite.size(0) == 12);
  CHECK(after.index_select(0, finite).allclose(before.index_select(0, finite), 0x1p-7, 1e-30));
}

TEST_CASE("losses of many logits can be differentiated twice") {
  for (const auto type : {at::kDouble, at::kBFloat16}) {
    const auto logits = xp::ops::empty({14, 20000}, at::kDouble).normal_().to(type).requires_grad_(true);
    const auto labels = xp::ops::arange(14, at::kLong);
    const auto penalty = [&](const at::Tensor& losses) {
      const auto gradient = torch::autograd::grad({losses.sum()}, {logits}, {}, true, true)[0];
      return torch::autograd::grad({gradient.pow(2).sum()}, {logits})[0];
    };
    const auto known = type == at::kDouble ? logits : logits.to(at::kFloat);
    const auto expected = penalty(at::cross_entropy_loss(known, labels, {}, at::Reduction::None, -1));
    CHECK(penalty(xp::cross_entropy(logits, labels)).allclose(expected, 1e-2, 1e-15));
    CHECK(expected.abs().max().item<double>() > 1e-5);
  }
}
