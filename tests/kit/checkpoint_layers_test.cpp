#include "kit/checkpoint_layers.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/ops.h"

namespace checkpoint_layers_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;

Checkpoint stack(const std::vector<std::string>& names, const std::vector<int>& layers, std::int64_t depth) {
  Checkpoint out{.type = "stack", .settings = {{"layers", depth}}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    out.parameters.info.push_back({names[i], "dense", layers[i]});
    out.parameters.values.push_back(xp::ops::full({2}, static_cast<double>(i)));
  }
  return out;
}

TEST_CASE("a parameter's name in its layer leaves out the way to it, and no other word that ends in layer") {
  CHECK(xp::name_in_layer({"layer.3.attention.query", "dense", 3}) == "attention.query");
  CHECK(xp::name_in_layer({"decoder.layer.12.up", "dense", 14}) == "up");
  CHECK(xp::name_in_layer({"sublayer.3.layer.4.up", "dense", 4}) == "up");
  CHECK(xp::name_in_layer({"layer.up", "dense", 4}) == "layer.up");
  CHECK(xp::name_in_layer({"layer.3.up", "dense", -1}) == "layer.3.up");
}

TEST_CASE("layers are chosen by number, renamed, and copies are tensors of their own") {
  const auto from =
      stack({"in", "layer.0.up", "layer.0.up.bias", "layer.1.up", "layer.1.up.bias", "out"}, {-1, 0, 0, 1, 1, -1}, 2);
  const auto made = xp::with_layers(from, {1, 0, 1}, "layers");
  const std::pair<const char*, int> expected[] = {{"in", 0},
                                                  {"layer.0.up", 3},
                                                  {"layer.0.up.bias", 4},
                                                  {"layer.1.up", 1},
                                                  {"layer.1.up.bias", 2},
                                                  {"layer.2.up", 3},
                                                  {"layer.2.up.bias", 4},
                                                  {"out", 5}};
  REQUIRE(made.parameters.size() == 8);
  for (xp::Param i = 0; i < 8; ++i) {
    CHECK(made.parameters.info[i].name == expected[i].first);
    CHECK(made.parameters.values[i][0].item<int>() == expected[i].second);
  }
  CHECK(made.parameters.info[3].layer == 1);
  CHECK(made.parameters.distinct().size() == 8);
  CHECK(*made.settings.at("layers").as<std::int64_t>() == 3);
  CHECK(xp::layer_count(made.parameters) == 3);
  CHECK(xp::layer_count({}) == 0);
}

TEST_CASE("layers that cannot be chosen are told with the reason") {
  const auto two = stack({"layer.0.up", "layer.1.up"}, {0, 1}, 2);
  CHECK_THROWS_WITH(xp::with_layers(two, {}, "layers"), ContainsSubstring("no layer is kept"));
  CHECK_THROWS_WITH(xp::with_layers(two, {0, 2}, "layers"),
                    ContainsSubstring("layer 2 is not there; the model has layers 0 to 1"));
  CHECK_THROWS_WITH(xp::with_layers(stack({"in"}, {-1}, 0), {0}, "layers"), ContainsSubstring("the model has none"));
  CHECK_THROWS_WITH(xp::with_layers(two, {0}, "depth"), ContainsSubstring("no `depth`"));
  CHECK_THROWS_WITH(xp::with_layers(stack({"layer.0.up", "layer.1.up"}, {0, 1}, 1), {0}, "layers"),
                    ContainsSubstring("the model's `layers` is 1, and its parameters lie in 2 layers"));
  CHECK_THROWS_WITH(xp::with_layers(stack({"layer.0.up", "top.up"}, {0, 1}, 2), {1}, "layers"),
                    ContainsSubstring("`top.up` does not name its layer"));
}

TEST_CASE("a transform of one checkpoint names itself where there are more") {
  const auto one = stack({"in"}, {-1}, 0);
  const std::vector<const Checkpoint*> once{&one}, twice{&one, &one};
  CHECK(&xp::only_checkpoint(once, "halve") == &one);
  CHECK_THROWS_WITH(xp::only_checkpoint(twice, "halve"), ContainsSubstring("`halve` takes one checkpoint, not 2"));
}

}  // namespace checkpoint_layers_test
