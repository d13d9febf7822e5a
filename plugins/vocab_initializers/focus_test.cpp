#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

namespace focus_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

Toy sea() {
  Toy toy({"ship", "sail", "cow", "rare"}, {"boat", "ship", "sail", "cow", "rare", "##fee"});
  toy.give_vectors({{"boat", {4, 3}}, {"ship", {1, 0}}, {"sail", {0, 2}}, {"cow", {-1, 0}}});
  return toy;
}

TEST_CASE("FOCUS projects cosines with shared tokens on the simplex") {
  const auto toy = sea();
  const auto row = toy.row({{"type", "focus"}}, "boat");  // cosines 0.8, 0.6, -0.8: threshold (1.4 - 1) / 2
  CHECK(row.rule == "similarity");
  REQUIRE(row.parts.size() == 2);
  CHECK_THAT(toy.weight(row, "ship"), WithinAbs(0.6, 1e-6));
  CHECK_THAT(toy.weight(row, "sail"), WithinAbs(0.4, 1e-6));
  CHECK(toy.row({{"type", "focus"}}, "ship").rule == "copy");
}

TEST_CASE("FOCUS with other weightings") {
  const auto toy = sea();
  const auto soft = toy.row({{"type", "focus"}, {"weighting", "softmax"}, {"temperature", 0.5}}, "boat");
  const double sum = std::exp(1.6) + std::exp(1.2) + std::exp(-1.6);
  CHECK_THAT(toy.weight(soft, "ship"), WithinAbs(std::exp(1.6) / sum, 1e-6));
  const auto nearest = toy.row({{"type", "focus"}, {"neighbours", 1}}, "boat");
  CHECK(toy.weight(nearest, "ship") == 1);
}

TEST_CASE("FOCUS: tokens without vector fall back, and shared ones are copied but compared with nothing") {
  const auto toy = sea();
  CHECK(toy.row({{"type", "focus"}}, "rare").rule == "copy");
  const auto row = toy.row({{"type", "focus"}}, "##fee");
  CHECK(row.rule == "random");
  CHECK_THAT(row.note, ContainsSubstring("has no vector"));
  CHECK(toy.row({{"type", "focus"}, {"fallback", "mean"}}, "##fee").uniform);
  Toy bare({"ship"}, {"boat"});
  CHECK_THROWS_WITH(bare.plan({{"type", "focus"}}), ContainsSubstring("give it `vectors`"));
}

}  // namespace focus_test
