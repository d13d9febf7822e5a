#include <catch2/matchers/catch_matchers_string.hpp>

#include "study_fixture.h"

namespace list_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Texts = std::vector<std::string>;

const Table kList{{"type", "list"}};

TEST_CASE("list describes itself") { testing::check_component(testing::registry(), "search", "list"); }

TEST_CASE("list: trial i has the i-th value of each axis that is asked") {
  const auto axes = std::vector{listed("a", {1, 2, 2}), when(listed("b", {"x", "y", "z"}), "a", {2})};
  CHECK(proposals(*study(kList, axes)) == Texts{"a=1", "a=2 b=\"y\"", "a=2 b=\"z\""});
  CHECK(proposals(*study(kList, {})) == Texts{""});
}

TEST_CASE("list: what has no row of its own is refused") {
  CHECK_THROWS_WITH(study(kList, {listed("a", {1, 2}), listed("b", {1})}),
                    ContainsSubstring("`a` has 2 values and `b` has 1;"));
  CHECK_THROWS_WITH(study(kList, {listed("a", {1}), range("b", 0, 1)}), ContainsSubstring("`b` is a range"));
}

TEST_CASE("list replays from its journal") {
  check_replay(kList, {listed("a", {1, 2, 3, 4, 5, 6}), listed("b", {6, 5, 4, 3, 2, 1})});
}

}  // namespace list_test
