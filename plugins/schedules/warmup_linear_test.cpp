#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "api/optimizer.h"
#include "testing/testing.h"

namespace warmup_linear_test {

using Catch::Approx;

std::unique_ptr<xp::Schedule> make(xp::Table table) {
  table["type"] = "warmup_linear";
  return xp::testing::registry().make<xp::Schedule>(table);
}

TEST_CASE("warmup_linear rises to 1 and falls to its end in straight lines") {
  const auto s = make({{"warmup", 0.2}, {"end", 0.1}});
  CHECK(s->at(0) == 0);
  CHECK(s->at(0.1) == Approx(0.5));
  CHECK(s->at(0.2) == Approx(1));
  CHECK(s->at(0.6) == Approx(0.55));
  CHECK(s->at(1) == Approx(0.1));
  const double fall = s->at(0.3) - s->at(0.4);
  for (const double p : {0.5, 0.6, 0.7, 0.8}) CHECK(s->at(p) - s->at(p + 0.1) == Approx(fall));
}

TEST_CASE("warmup_linear stays at its ends outside the stage") {
  const auto s = make({{"warmup", 0.2}, {"end", 0.1}});
  CHECK(s->at(-1) == 0);
  CHECK(s->at(1.5) == Approx(0.1));
}

TEST_CASE("warmup_linear without a rise starts at 1, without a fall ends at 1") {
  CHECK(make({{"warmup", 0.0}})->at(0) == 1);
  CHECK(make({{"warmup", 1.0}})->at(1) == 1);
  CHECK(make({{"warmup", 1.0}})->at(0.5) == Approx(0.5));
  CHECK(make({})->at(1) == 0);
  CHECK(make({})->at(0.06) == Approx(1));
}

}  // namespace warmup_linear_test
