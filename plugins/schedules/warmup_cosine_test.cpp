#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "api/optimizer.h"
#include "testing/testing.h"

namespace warmup_cosine_test {

using Catch::Approx;

std::unique_ptr<xp::Schedule> make(xp::Table table) {
  table["type"] = "warmup_cosine";
  return xp::testing::registry().make<xp::Schedule>(table);
}

TEST_CASE("warmup_cosine rises to 1 in a line and falls to its end by half a cosine") {
  const auto s = make({{"warmup", 0.5}, {"end", 0.2}});
  CHECK(s->at(0) == 0);
  CHECK(s->at(0.25) == Approx(0.5));
  CHECK(s->at(0.5) == Approx(1));
  CHECK(s->at(0.75) == Approx(0.6));
  CHECK(s->at(5.0 / 6) == Approx(0.2 + 0.8 * 0.25));  // cos(2 pi / 3) = -1/2
  CHECK(s->at(1) == Approx(0.2));
}

TEST_CASE("warmup_cosine is flat where it turns and point-symmetric about the middle of its fall") {
  const auto s = make({{"warmup", 0.0}, {"end", 0.3}});
  CHECK(1 - s->at(0.01) < 0.001);
  CHECK(s->at(0.99) - 0.3 < 0.001);
  for (const double d : {0.1, 0.25, 0.4}) CHECK(s->at(0.5 - d) + s->at(0.5 + d) == Approx(1.3));
  CHECK(s->at(-1) == 1);
  CHECK(s->at(1.5) == Approx(0.3));
}

TEST_CASE("warmup_cosine without a fall ends at 1") { CHECK(make({{"warmup", 1.0}})->at(1) == 1); }

}  // namespace warmup_cosine_test
