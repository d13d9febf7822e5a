
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace select_layers_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

TEST_CASE("all layers in order change nothing") {
  const auto a = small_checkpoint(1, 3);
  const auto b = transformed({{"type", "select_layers"}, {"layers", xp::List{0, 1}}}, {&a});
  CHECK(small_logits(a).equal(small_logits(b)));
}

TEST_CASE("a copied layer whose output projections are zero leaves a pre-norm model as it was") {
  const auto a = small_checkpoint(1, 3);
  auto deeper = transformed({{"type", "select_layers"}, {"layers", xp::List{0, 1, 1}}}, {&a});
  CHECK(deeper.parameters.size() > a.parameters.size());
  CHECK_FALSE(small_logits(deeper).allclose(small_logits(a), 1e-4, 1e-4));
  for (xp::Param i = 0; i < deeper.parameters.size(); ++i) {
    const auto& name = deeper.parameters.info[i].name;
    if (name.starts_with("layer.2.attention.output") || name.starts_with("layer.2.ffn.down"))
      deeper.parameters.values[i].zero_();
  }
  CHECK(small_logits(deeper).allclose(small_logits(a), 1e-6, 1e-6));
  CHECK(parameter_difference(transformed({{"type", "select_layers"}, {"layers", xp::List{0, 1}}}, {&deeper}), a) ==
        0);
}

TEST_CASE("layers that are not there are named") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "select_layers"}, {"layers", xp::List{0, 5}}}, {&a}),
                    ContainsSubstring("layer 5 is not there; the model has layers 0 to 1"));
}

}  // namespace select_layers_test
