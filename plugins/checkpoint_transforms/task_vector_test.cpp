
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "kit/torch_operators.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace task_vector_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

TEST_CASE("one task vector with scale 1 gives its checkpoint, with 0 the base, with -1 the mirror") {
  const auto base = small_checkpoint(1, 1), a = small_checkpoint(2, 4, &base);
  const auto with = [&](double scale) {
    return transformed({{"type", "task_vector"}, {"scales", xp::List{scale}}}, {&a}, &base);
  };
  CHECK(parameter_difference(with(1), a) < 1e-6);
  CHECK(parameter_difference(with(0), base) == 0);
  const auto mirror = with(-1);
  for (xp::Param i = 0; i < base.parameters.size(); ++i)
    CHECK((mirror.parameters.values[i] + a.parameters.values[i]).allclose(2 * base.parameters.values[i], 1e-5, 1e-6));
}

TEST_CASE("a task vector without a base says so") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "task_vector"}}, {&a}), ContainsSubstring("needs `from`"));
}

}  // namespace task_vector_test
