#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "small_models_fixture.h"
#include "testing/testing.h"

namespace copy_matching_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

Checkpoint filled(const Checkpoint& first, const Checkpoint& from, double require = 0) {
  return transformed({{"type", "copy_matching"}, {"require", require}}, {&first}, &from);
}

double numbers(const Checkpoint& model, int layer) {
  double sum = 0;
  for (xp::Param i = 0; i < model.parameters.size(); ++i)
    if (layer < -1 || model.parameters.info[i].layer == layer)
      sum += static_cast<double>(model.parameters.values[i].numel());
  return sum;
}

TEST_CASE("copy_matching of a model of the same shape is that model, from the base or as a second input") {
  const auto a = small_checkpoint(1, 2), b = small_checkpoint(2, 4);
  REQUIRE(parameter_difference(a, b) > 0);
  CHECK(parameter_difference(filled(a, b, 1), b) == 0);
  CHECK(small_logits(filled(a, b)).equal(small_logits(b)));
  CHECK(parameter_difference(transformed({{"type", "copy_matching"}}, {&a, &b}), b) == 0);
}

TEST_CASE("copy_matching gives a student the lower layers of its teacher, and a deeper model keeps its own above") {
  const auto two = small_checkpoint(1, 2), four = small_checkpoint(2, 2, nullptr, 4);
  const auto student = filled(two, four, 1);
  CHECK(parameter_difference(student, transformed({{"type", "truncate"}, {"layers", 2}}, {&four})) == 0);
  const auto grown = filled(four, two);
  for (xp::Param i = 0; i < grown.parameters.size(); ++i) {
    const auto& info = grown.parameters.info[i];
    CAPTURE(info.name);
    const auto& from = (info.layer < 2 ? two : four).parameters;
    CHECK(grown.parameters.values[i].equal(from.values[from.find(info.name)]));
  }
}

TEST_CASE("copy_matching goes by role, layer, name in the layer and shape, not by the place of a layer's stack") {
  auto a = small_checkpoint(1, 1), b = small_checkpoint(2, 1);
  auto& of = b.parameters;
  of.info[of.find("layer.0.ffn.up")].role = "head";
  of.info[of.find("layer.0.ffn.down")].layer = 1;  // layer 1 has one of this name already, which comes later
  of.values[of.find("layer.1.ffn.up")] = xp::ops::ones({2, 2});
  of.info[of.find("layer.1.ffn.norm")].name = "decoder.layer.7.ffn.norm";
  const auto c = filled(a, b);
  const auto same = [&](const char* own, const Checkpoint& as, const char* theirs) {
    return c.parameters.values[c.parameters.find(own)].equal(as.parameters.values[as.parameters.find(theirs)]);
  };
  CHECK(same("layer.0.ffn.up", a, "layer.0.ffn.up"));
  CHECK(same("layer.0.ffn.down", a, "layer.0.ffn.down"));
  CHECK(same("layer.1.ffn.down", b, "layer.0.ffn.down"));
  CHECK(same("layer.1.ffn.up", a, "layer.1.ffn.up"));
  CHECK(same("layer.1.ffn.norm", b, "decoder.layer.7.ffn.norm"));
  CHECK(same("embedding.token", b, "embedding.token"));
}

TEST_CASE("copy_matching keeps ties, and takes no tables of another vocabulary") {
  auto a = small_checkpoint(1, 1), b = small_checkpoint(2, 1);
  a.parameters.info.push_back({"head.output", "vocab.output"});
  a.parameters.values.push_back(a.parameters.values[a.parameters.find("embedding.token")]);
  const auto c = filled(a, b);
  CHECK(c.parameters.values.back().is_same(c.parameters.values[c.parameters.find("embedding.token")]));
  CHECK(c.parameters.values.back().equal(b.parameters.values[b.parameters.find("embedding.token")]));
  b.parameters.info[b.parameters.find("embedding.token")] = {"head.output", "vocab.output"};
  CHECK(filled(a, b).parameters.values.back().equal(b.parameters.values[b.parameters.find("head.output")]));
  b.reserved["mask"] = 7;
  const auto d = filled(a, b);
  CHECK(d.parameters.values.back().equal(a.parameters.values.back()));
  CHECK(d.parameters.values[d.parameters.find("layer.0.ffn.up")].equal(
      b.parameters.values[b.parameters.find("layer.0.ffn.up")]));
}

TEST_CASE("copy_matching takes numbers of another type into the first one's, and its objective stays") {
  auto a = small_checkpoint(1, 1), b = small_checkpoint(2, 1);
  for (auto& value : b.parameters.values) value = value.to(at::kDouble);
  a.objective = {{"type", "mlm"}}, a.state.set("step", xp::Ints{{1}});
  const auto c = filled(a, b, 1);
  CHECK(c.parameters.values[0].scalar_type() == at::kFloat);
  CHECK(c.parameters.values[0].equal(b.parameters.values[0].to(at::kFloat)));
  CHECK((c.objective == a.objective));
  CHECK_FALSE(c.state.has("step"));
}

TEST_CASE("copy_matching names what it did not find, if more was required") {
  const auto two = small_checkpoint(1, 1), four = small_checkpoint(2, 1, nullptr, 4);
  const double share = 1 - (numbers(four, 2) + numbers(four, 3)) / numbers(four, -2);
  REQUIRE((share > 0.4 && share < 0.9));
  CHECK_NOTHROW(filled(four, two, share - 1e-9));
  CHECK_THROWS_WITH(filled(four, two, share + 1e-9), ContainsSubstring("`layer.2.attention.query`"));
  try {
    filled(four, two, 0.95);
    FAIL("nothing was thrown");
  } catch (const xp::Error& error) {
    const std::string text = error.what();
    CHECK_THAT(text, ContainsSubstring("and `require` asks for 95%; not found with the same role, layer and shape"));
    for (const auto& info : four.parameters.info) {
      CAPTURE(info.name);
      CHECK((text.find("`" + info.name + "`") != std::string::npos) == (info.layer >= 2));
    }
  }
}

TEST_CASE("copy_matching needs one checkpoint to copy from") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "copy_matching"}}, {&a}), ContainsSubstring("it got 1 checkpoint"));
  CHECK_THROWS_WITH(transformed({{"type", "copy_matching"}}, {&a, &a}, &a),
                    ContainsSubstring("it got 2 checkpoints and `from`"));
  CHECK_THROWS_WITH(filled(a, a, 1.5), ContainsSubstring("`require` is 1.5; a share between 0 and 1 is needed"));
}

}  // namespace copy_matching_test
