#include "pruner_fixture.h"

namespace median_test {

using namespace xp;
using namespace xp::fixture;
using Trials = std::vector<std::int64_t>;

TEST_CASE("median describes itself and its rule") {
  testing::check_component(testing::registry(), "pruner", "median");
  check_rule("median");
}

TEST_CASE("median: the first go on, then whoever is no worse than the median of those before") {
  const auto median = pruner("median", {{"startup", 3}});
  std::int64_t trial = 0;
  const auto goes_on = [&](double value) {
    median->tell(trial, 0, value);
    return promoted(*median) == Trials{trial++};
  };
  CHECK(goes_on(5));
  CHECK(goes_on(9));
  CHECK(goes_on(7));
  CHECK(goes_on(7));          // the median of 5 7 9
  CHECK_FALSE(goes_on(8));    // of 5 7 7 9
  CHECK(goes_on(6));          // of 5 7 7 8 9
  CHECK_FALSE(goes_on(7.5));  // of 5 6 7 7 8 9
  CHECK_FALSE(goes_on(std::numeric_limits<double>::quiet_NaN()));
}

TEST_CASE("median: an even number of values has the mean of the middle two") {
  const auto median = pruner("median", {{"startup", 2}});
  median->tell(0, 0, 1);
  median->tell(1, 0, 2);
  median->tell(2, 0, 1.6);
  median->tell(3, 0, 1.4);
  CHECK(promoted(*median) == Trials{0, 1, 3});
}

TEST_CASE("median: rungs are judged by themselves, and trials go on in the order in which they were told") {
  const auto median = pruner("median", {{"startup", 1}});
  median->tell(0, 0, 1);
  median->tell(0, 1, 5);  // the first at its rung
  median->tell(1, 0, 2);
  median->tell(2, 0, 1);
  median->tell(2, 1, 6);
  CHECK(promoted(*median) == Trials{0, 0, 2});
}

TEST_CASE("median: five go on before any is stopped, where nothing else is said") {
  const auto median = pruner("median");
  for (std::int64_t trial = 0; trial < 6; ++trial) median->tell(trial, 0, static_cast<double>(trial));
  CHECK(promoted(*median) == Trials{0, 1, 2, 3, 4});
}

}  // namespace median_test
