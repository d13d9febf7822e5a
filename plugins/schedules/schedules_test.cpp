#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "api/optimizer.h"
#include "testing/testing.h"

using Catch::Approx;

namespace {

std::unique_ptr<xp::Schedule> make(xp::Table table) { return xp::testing::registry().make<xp::Schedule>(table); }

}  // namespace

TEST_CASE("constant stays") {
  for (const double p : {0.0, 0.3, 1.0}) CHECK(make({{"type", "constant"}})->at(p) == 1);
}

TEST_CASE("warmup_linear rises to 1 and falls to its end") {
  const auto s = make({{"type", "warmup_linear"}, {"warmup", 0.2}, {"end", 0.1}});
  CHECK(s->at(0) == 0);
  CHECK(s->at(0.1) == Approx(0.5));
  CHECK(s->at(0.2) == Approx(1));
  CHECK(s->at(0.6) == Approx(0.55));
  CHECK(s->at(1) == Approx(0.1));
  CHECK(s->at(1.5) == Approx(0.1));
  CHECK(make({{"type", "warmup_linear"}, {"warmup", 0.0}})->at(0) == 1);
  CHECK(make({{"type", "warmup_linear"}, {"warmup", 1.0}})->at(1) == 1);
}

TEST_CASE("warmup_cosine rises to 1 and falls by half a cosine") {
  const auto s = make({{"type", "warmup_cosine"}, {"warmup", 0.5}, {"end", 0.2}});
  CHECK(s->at(0.25) == Approx(0.5));
  CHECK(s->at(0.5) == Approx(1));
  CHECK(s->at(0.75) == Approx(0.6));
  CHECK(s->at(5.0 / 6) == Approx(0.2 + 0.8 * 0.25));
  CHECK(s->at(1) == Approx(0.2));
}
