#include "kit/ranks.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

namespace ranks_test {

using Numbers = std::vector<double>;
using Catch::Approx;

TEST_CASE("average_ranks: equal numbers share the average of theirs") {
  CHECK(xp::average_ranks({}).empty());
  CHECK(xp::average_ranks({7}) == Numbers{1});
  CHECK(xp::average_ranks({3, 1, 2}) == Numbers{3, 1, 2});
  CHECK(xp::average_ranks({5, -1, 5, 9, 5}) == Numbers{3, 1, 3, 5, 3});
  CHECK(xp::average_ranks({2, 2, 1, 1}) == Numbers{3.5, 3.5, 1.5, 1.5});
  CHECK(xp::average_ranks({0.0, -0.0}) == Numbers{1.5, 1.5});
}

TEST_CASE("standardised: mean 0 and standard deviation 1, or zeros where all are equal") {
  const auto z = xp::standardised({1, 2, 3, 6});  // mean 3, squares 14
  CHECK(z[0] == Approx(-2 / std::sqrt(14 / 4.0)));
  CHECK(z[2] == 0);
  CHECK(z[3] == Approx(3 / std::sqrt(14 / 4.0)));
  CHECK(xp::standardised({0.1, 0.1, 0.1}) == Numbers{0, 0, 0});  // whose mean is another number
  CHECK(xp::standardised({}).empty());
}

}  // namespace ranks_test
