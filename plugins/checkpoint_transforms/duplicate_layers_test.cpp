#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace duplicate_layers_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint, xp::Table;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

Checkpoint duplicated(const Checkpoint& model, std::int64_t from, std::int64_t to) {
  return transformed({{"type", "duplicate_layers"}, {"from", from}, {"to", to}}, {&model});
}

TEST_CASE("duplicate_layers puts copies of a stretch of layers behind it") {
  const auto a = small_checkpoint(1, 2, nullptr, 4);
  const auto b = duplicated(a, 1, 2);
  CHECK(*b.settings.at("layers").as<std::int64_t>() == 6);
  const int origin[] = {0, 1, 2, 1, 2, 3};
  int compared = 0;
  for (xp::Param i = 0; i < b.parameters.size(); ++i) {
    auto info = b.parameters.info[i];
    if (info.layer >= 0) {
      const auto front = "layer." + std::to_string(info.layer);
      REQUIRE(info.name.starts_with(front + "."));
      info.name = "layer." + std::to_string(origin[info.layer]) + info.name.substr(front.size());
      ++compared;
    }
    CAPTURE(b.parameters.info[i].name, info.name);
    CHECK(b.parameters.values[i].equal(a.parameters.values[a.parameters.find(info.name)]));
  }
  CHECK(compared == 6 * 16);
  CHECK(b.parameters.distinct().size() == b.parameters.size());  // copies go their own ways
}

TEST_CASE("duplicate_layers whose copies' output projections are zero leaves a pre-norm model as it was") {
  const auto a = small_checkpoint(1, 3, nullptr, 3);
  auto deeper = duplicated(a, 0, 1);
  CHECK_FALSE(small_logits(deeper).allclose(small_logits(a), 1e-4, 1e-4));
  int silenced = 0;
  for (xp::Param i = 0; i < deeper.parameters.size(); ++i) {
    const auto& info = deeper.parameters.info[i];
    const bool copied = info.layer == 2 || info.layer == 3;  // 0 1 [0 1] 2
    if (!copied || (info.name.find(".attention.output") == std::string::npos &&
                    info.name.find(".ffn.down") == std::string::npos))
      continue;
    deeper.parameters.values[i].zero_();
    ++silenced;
  }
  CHECK(silenced == 2 * 4);  // weight and bias of both projections
  CHECK(small_logits(deeper).equal(small_logits(a)));
}

TEST_CASE("duplicate_layers of the last layer is what select_layers gives, without the training state") {
  auto a = small_checkpoint(1, 2);
  a.state.set("step", xp::Ints{{2}});
  const auto b = duplicated(a, 1, 1);
  CHECK(parameter_difference(b, transformed({{"type", "select_layers"}, {"layers", xp::List{0, 1, 1}}}, {&a})) == 0);
  CHECK_FALSE(b.state.has("step"));
}

TEST_CASE("duplicate_layers says which layers there are, and of which models it can tell the layers") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(duplicated(a, 1, 2), ContainsSubstring("`to` is 2, and the model has 2 layers, counted from 0"));
  CHECK_THROWS_WITH(duplicated(a, 1, 0), ContainsSubstring("`from` is 1 and `to` is 0"));
  CHECK_THROWS_WITH(transformed({{"type", "duplicate_layers"}, {"from", 0}, {"to", 0}}, {&a, &a}),
                    ContainsSubstring("`duplicate_layers` takes one checkpoint, not 2"));
  CHECK_THROWS_WITH(transformed({{"type", "duplicate_layers"}, {"from", 0}, {"to", 0}, {"setting", "depth"}}, {&a}),
                    ContainsSubstring("the model's settings have no `depth`"));
  CHECK_THROWS_WITH(transformed({{"type", "duplicate_layers"}, {"from", 0}, {"to", 0}, {"setting", "width"}}, {&a}),
                    ContainsSubstring("the model's `width` is 16, and its parameters lie in 2 layers"));
  auto both = xp::testing::small_spec(1, 2);
  both.model.insert_or_assign("kind", "encoder_decoder");
  const auto two = xp::testing::Fixture(xp::testing::registry(), both).exported();
  CHECK_THROWS_WITH(duplicated(two, 0, 0), ContainsSubstring("its parameters lie in 4 layers; layers are chosen in "
                                                             "models that have one stack"));
}

}  // namespace duplicate_layers_test
