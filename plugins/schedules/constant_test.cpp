#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/optimizer.h"
#include "testing/testing.h"

namespace constant_test {

using xp::Schedule;
using xp::testing::registry;

TEST_CASE("constant stays at 1 over the stage and beyond its ends") {
  const auto schedule = registry().make<Schedule>({{"type", "constant"}});
  for (const double p : {-1.0, 0.0, 0.3, 1.0, 2.0}) CHECK(schedule->at(p) == 1);
}

TEST_CASE("constant takes no parameter") {
  CHECK_THROWS_WITH(registry().make<Schedule>({{"type", "constant"}, {"warmup", 0.1}}),
                    Catch::Matchers::ContainsSubstring("warmup"));
}

}  // namespace constant_test
