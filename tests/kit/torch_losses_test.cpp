#include "kit/torch_losses.h"

#include <ATen/ATen.h>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("losses at labelled positions add up by item") {
  const auto labels = at::tensor({-1, 2, -1, 0, -1, -1, -1, -1, 1}, at::kLong).view({3, 3});
  const auto picked = xp::labelled(labels);
  CHECK(at::equal(picked.at, at::tensor({1, 3, 8}, at::kLong)));
  CHECK(at::equal(picked.item, at::tensor({0, 1, 2}, at::kLong)));
  CHECK(at::equal(picked.labels, at::tensor({2, 0, 1}, at::kLong)));
  const auto logits = at::tensor({0.5, -1.0, 2.0, 1.0, 1.0, 1.0, -3.0, 0.0, 4.0}, at::kDouble).view({3, 3});
  const auto by_item = xp::cross_entropy_by_item(logits, picked, 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    const auto row = logits[i].exp();
    const double expected = -std::log((row[picked.labels[i].item<std::int64_t>()] / row.sum()).item<double>());
    CHECK(std::abs(by_item[i].item<double>() - expected) < 1e-12);
  }
  CHECK(at::equal(xp::sum_by_item(at::tensor({1.0, 2.0, 4.0}), at::tensor({2, 0, 2}, at::kLong), 3),
                  at::tensor({2.0, 0.0, 5.0})));
}

TEST_CASE("narrow logits are widened, unknown labels cost nothing, nothing labelled costs nothing") {
  const auto logits = at::randn({4, 7}).to(at::kBFloat16);
  const auto labels = at::tensor({3, -1, 6, 0}, at::kLong);
  const auto losses = xp::cross_entropy(logits, labels);
  CHECK(losses.scalar_type() == at::kFloat);
  CHECK(losses[1].item<float>() == 0);
  CHECK(at::equal(losses, xp::cross_entropy(logits.to(at::kFloat), labels)));
  const auto none = xp::labelled(at::full({2, 5}, -1, at::kLong));
  CHECK(at::equal(xp::cross_entropy_by_item(at::zeros({0, 7}), none, 2), at::zeros({2})));
}
