#include "kit/small_adam.h"

#include <c10/core/GradMode.h>

#include "api/ops.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

namespace xp::small_adam_test {

using Catch::Approx;

TEST_CASE("small Adam: two steps by hand") {
  const at::AutoGradMode on(true);
  auto x = ops::tensor({1.0, -2.0}).requires_grad_(true);
  SmallAdam adam({x}, 0.1);
  double mean = 0, square = 0, expected = 1;
  for (int t = 1; t <= 3; ++t) {
    const double gradient = 2 * expected, scale = t == 3 ? 0.5 : 1;
    mean = 0.9 * mean + 0.1 * gradient, square = 0.999 * square + 0.001 * gradient * gradient;
    expected -= scale * 0.1 * (mean / (1 - std::pow(0.9, t))) / (std::sqrt(square / (1 - std::pow(0.999, t))) + 1e-8);
    x.square().sum().backward();
    adam.update(scale);
    CHECK(x[0].item<double>() == Approx(expected).epsilon(1e-5));
    CHECK_FALSE(x.grad().defined());
  }
  CHECK(x[1].item<double>() > -2);
}

TEST_CASE("small Adam: a tensor without a gradient stays, and its own count of steps with it") {
  const at::AutoGradMode on(true);
  auto x = ops::tensor({1.0}).requires_grad_(true), y = ops::tensor({1.0}).requires_grad_(true);
  SmallAdam adam({x, y}, 0.1);
  x.square().sum().backward();
  adam.update();
  CHECK(y[0].item<double>() == 1);
  y.square().sum().backward();
  adam.update();
  // The first step has the learning rate's length whatever the gradient.
  CHECK(y[0].item<double>() == Approx(0.9));
  CHECK(x[0].item<double>() == Approx(0.9));
  adam.update();
  CHECK(y[0].item<double>() == Approx(0.9));
}

}  // namespace xp::small_adam_test
