#include <catch2/matchers/catch_matchers_string.hpp>

#include "study_fixture.h"

namespace grid_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Texts = std::vector<std::string>;

const Table kGrid{{"type", "grid"}};

TEST_CASE("grid describes itself") { testing::check_component(testing::registry(), "search", "grid"); }

TEST_CASE("grid: every combination, the last axis fastest") {
  const auto search = study(kGrid, {listed("b", {2, 1}), listed("a", {"x", "y", "z"})});
  CHECK(proposals(*search) ==
        Texts{"a=\"x\" b=2", "a=\"y\" b=2", "a=\"z\" b=2", "a=\"x\" b=1", "a=\"y\" b=1", "a=\"z\" b=1"});
}

TEST_CASE("grid: without axes there is one trial") { CHECK(proposals(*study(kGrid, {})) == Texts{""}); }

TEST_CASE("grid: axes of one zip advance together, wherever they stand") {
  const auto search = study(kGrid, {zipped("a", {1, 2}, "size"), listed("b", {3, 4}), zipped("c", {5, 6}, "size")});
  CHECK(proposals(*search) == Texts{"a=1 b=3 c=5", "a=1 b=4 c=5", "a=2 b=3 c=6", "a=2 b=4 c=6"});
  CHECK_THROWS_WITH(study(kGrid, {zipped("a", {1, 2}, "size"), zipped("c", {5}, "size")}),
                    ContainsSubstring("`a` and `c` of `zip` = \"size\" have 2 and 1 value;"));
}

TEST_CASE("grid: an axis that is not asked is missing and makes no combination twice") {
  const auto kind = listed("kind", {"plain", "deep", "wide"});
  const auto depth = when(listed("depth", {1, 2}), "kind", {"deep"});
  const auto share = when(listed("share", {0.5, 1.0}), "depth", {2.0});  // numbers are equal by value
  CHECK(proposals(*study(kGrid, {kind, depth, share})) == Texts{"kind=\"plain\"", "depth=1 kind=\"deep\"",
                                                                "depth=2 kind=\"deep\" share=0.5",
                                                                "depth=2 kind=\"deep\" share=1.0", "kind=\"wide\""});
}

TEST_CASE("grid: a zip whose second axis hangs on a later one than its first") {
  const auto axes = std::vector{zipped("a", {1, 1}, "z"), listed("kind", {"plain", "deep"}),
                                when(zipped("b", {7, 8}, "z"), "kind", {"deep"})};
  // In plain trials both rows are the same.
  CHECK(proposals(*study(kGrid, axes)) ==
        Texts{"a=1 kind=\"plain\"", "a=1 b=7 kind=\"deep\"", "a=1 b=8 kind=\"deep\""});
}

TEST_CASE("grid: values that are written twice are tried once") {
  CHECK(proposals(*study(kGrid, {listed("a", {1, 2, 1}), listed("b", {5, 5})})) == Texts{"a=1 b=5", "a=2 b=5"});
}

TEST_CASE("grid: many axes that are not asked are passed over, not walked through") {
  List many;
  for (int i = 0; i < 1000; ++i) many.push_back(i);
  std::vector<SearchAxis> axes{listed("kind", {"plain", "deep"})};
  for (const char* key : {"a", "b", "c", "d"}) axes.push_back(when(listed(key, many), "kind", {"none of them"}));
  CHECK(proposals(*study(kGrid, axes)) == Texts{"kind=\"plain\"", "kind=\"deep\""});
}

TEST_CASE("grid: ranges are refused without steps, else they have both ends") {
  CHECK_THROWS_WITH(study(kGrid, {range("a", 0, 1)}),
                    ContainsSubstring("`a` is a range, of which a grid has no points; write `values`"));
  CHECK_THROWS_WITH(study({{"type", "grid"}, {"steps", 1}}, {}), ContainsSubstring("write 0 or at least 2"));
  const Table four{{"type", "grid"}, {"steps", 4}};
  CHECK(proposals(*study(four, {range("a", 0, 1)})) == Texts{"a=0.0", "a=0.333333333", "a=0.666666667", "a=1.0"});
  CHECK(proposals(*study(four, {log_range("a", 1e-5, 1e-2)})) == Texts{"a=1e-05", "a=1e-04", "a=0.001", "a=0.01"});
  CHECK(proposals(*study(four, {whole(range("a", 2, 4))})) == Texts{"a=2", "a=3", "a=4"});
  CHECK(proposals(*study(four, {whole(range("a", 0, 12345678901))}))[3] == "a=12345678901");
}

TEST_CASE("grid replays from its journal") {
  check_replay(kGrid, {listed("a", {1, 2, 3}), listed("b", {1, 2, 3}), listed("c", {1, 2})});
}

}  // namespace grid_test
