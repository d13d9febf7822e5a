
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace slerp_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

TEST_CASE("slerp(a, a) = a") {
  const auto base = small_checkpoint(1, 1), a = small_checkpoint(2, 4, &base);
  CHECK(parameter_difference(transformed({{"type", "slerp"}}, {&a, &a}, &base), a) < 1e-6);
}

TEST_CASE("between two changes of one length the joined change keeps that length") {
  const auto base = small_checkpoint(1, 1), a = small_checkpoint(2, 6, &base);
  auto b = small_checkpoint(3, 6, &base);
  const auto change = [&](const Checkpoint& c) {
    std::vector<at::Tensor> parts;
    for (const auto i : base.parameters.distinct())
      parts.push_back((c.parameters.values[i] - base.parameters.values[i]).flatten());
    return xp::ops::cat(parts);
  };
  const double scale = (change(a).norm() / change(b).norm()).item<double>();
  for (const auto i : base.parameters.distinct())
    b.parameters.values[i].copy_(base.parameters.values[i] +
                                 (b.parameters.values[i] - base.parameters.values[i]) * scale);
  const auto merged = transformed({{"type", "slerp"}}, {&a, &b}, &base);
  CHECK(std::abs((change(merged).norm() / change(a).norm()).item<double>() - 1) < 1e-4);
  const auto near = [&](const Checkpoint& c) {
    return (change(merged).dot(change(c)) / change(merged).norm() / change(c).norm()).item<double>();
  };
  CHECK(std::abs(near(a) - near(b)) < 1e-4);  // halfway
}

TEST_CASE("slerp without a base says so") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "slerp"}}, {&a, &a}), ContainsSubstring("needs `from`"));
}

}  // namespace slerp_test
