#include "kit/torch_losses.h"
#include "api/ops.h"
#include "kit/torch_operators.h"

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
