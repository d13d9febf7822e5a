
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace densify_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

TEST_CASE("densify changes no output and forgets the training state") {
  auto a = small_checkpoint(1, 3);
  a.state.set("mask", xp::Strings{"something"});
  const auto b = transformed({{"type", "densify"}}, {&a});
  CHECK(small_logits(a).equal(small_logits(b)));
  CHECK_FALSE(b.state.has("mask"));
}

TEST_CASE("densify takes one checkpoint") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "densify"}}, {&a, &a}), ContainsSubstring("takes one checkpoint, not 2"));
}

}  // namespace densify_test
