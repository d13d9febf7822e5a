
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "kit/torch_operators.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace linear_merge_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

TEST_CASE("a mean of one checkpoint with itself is that checkpoint") {
  const auto a = small_checkpoint(1, 3);
  CHECK(parameter_difference(transformed({{"type", "linear_merge"}}, {&a, &a}), a) < 1e-7);
}

TEST_CASE("a merge is the weighted mean of every parameter, and ties stay") {
  const auto base = small_checkpoint(1, 1), a = small_checkpoint(2, 4, &base), b = small_checkpoint(3, 4, &base);
  const auto merged = transformed({{"type", "linear_merge"}, {"weights", xp::List{3.0, 1.0}}}, {&a, &b});
  for (xp::Param i = 0; i < a.parameters.size(); ++i) {
    const auto expected = a.parameters.values[i] * 0.75 + b.parameters.values[i] * 0.25;
    INFO(a.parameters.info[i].name);
    CHECK(merged.parameters.values[i].allclose(expected, 1e-6, 1e-7));
  }
  CHECK(merged.parameters.distinct() == a.parameters.distinct());
}

TEST_CASE("checkpoints that do not fit are refused by name") {
  const auto a = small_checkpoint(1, 1), b = small_checkpoint(1, 1, nullptr, 3);
  CHECK_THROWS_WITH(transformed({{"type", "linear_merge"}}, {&a, &b}),
                    ContainsSubstring("`linear_merge` combines models of one shape"));
  CHECK_THROWS_WITH(transformed({{"type", "linear_merge"}, {"weights", xp::List{1.0}}}, {&a, &a}),
                    ContainsSubstring("1 number for 2 checkpoints"));
}

}  // namespace linear_merge_test
