#include "pruner_fixture.h"

namespace asha_test {

using namespace xp;
using namespace xp::fixture;
using Trials = std::vector<std::int64_t>;

TEST_CASE("asha describes itself and its rule") {
  testing::check_component(testing::registry(), "pruner", "asha");
  check_rule("asha");
}

TEST_CASE("asha: the best share of those told goes on, without waiting for others") {
  const auto asha = pruner("asha", {{"keep", 0.5}});
  asha->tell(0, 0, 5.0);
  CHECK(promoted(*asha).empty());  // half of one is none
  asha->tell(1, 0, 7.0);
  CHECK(promoted(*asha) == Trials{0});
  asha->tell(2, 0, 6.0);
  asha->tell(3, 0, 1.0);
  CHECK(promoted(*asha) == Trials{3});  // 3 and 0 are the best two, and 0 has gone
  asha->tell(4, 0, 0.5);
  asha->tell(5, 0, 0.6);
  CHECK(promoted(*asha) == Trials{4, 5});  // of three, best first
  for (std::int64_t trial = 6; trial < 10; ++trial) asha->tell(trial, 0, 9.0);
  CHECK(promoted(*asha) == Trials{2});  // the best five are 4 5 3 0 2
}

TEST_CASE("asha: the highest rung comes first") {
  const auto asha = pruner("asha", {{"keep", 0.5}});
  for (std::int64_t trial = 0; trial < 4; ++trial) asha->tell(trial, 0, static_cast<double>(trial));
  CHECK(asha->promote() == 0);
  CHECK(asha->promote() == 1);
  asha->tell(0, 1, 0.9);
  asha->tell(1, 1, 0.2);
  asha->tell(4, 0, -1.0);
  asha->tell(5, 0, -2.0);
  CHECK(asha->promote() == 1);  // from rung 1, though 4 and 5 may leave rung 0
  CHECK(asha->promote() == 5);
  CHECK(promoted(*asha) == Trials{4});
}

TEST_CASE("asha: equal values go by the trial's number, and no number is worst") {
  const auto asha = pruner("asha", {{"keep", 0.5}});
  asha->tell(1, 0, std::numeric_limits<double>::quiet_NaN());
  asha->tell(0, 0, std::numeric_limits<double>::quiet_NaN());
  asha->tell(3, 0, 1.0);
  asha->tell(2, 0, 1.0);
  CHECK(promoted(*asha) == Trials{2, 3});
}

TEST_CASE("asha: a share of a hundred is not one less by rounding") {
  const auto asha = pruner("asha", {{"keep", 0.29}});
  for (std::int64_t trial = 0; trial < 100; ++trial) asha->tell(trial, 0, static_cast<double>(trial));
  CHECK(promoted(*asha).size() == 29);
}

}  // namespace asha_test
