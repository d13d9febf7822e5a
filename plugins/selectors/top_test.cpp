#include <catch2/catch_test_macros.hpp>

#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace top_test {

using namespace xp;

std::vector<bool> kept(const Table& more, const std::vector<Scored>& documents) {
  Table settings{{"type", "top"}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Selector>(settings)->select(documents, RandomStream(1));
}

TEST_CASE("top describes itself") { testing::check_component(testing::registry(), "selector", "top"); }

TEST_CASE("top: the share with the highest scores, of equal ones the first") {
  const std::vector<Scored> documents{{1, 10}, {3, 60}, {1, 10}, {2, 20}};
  CHECK(kept({{"keep", 0.25}}, documents) == std::vector<bool>{false, true, false, false});
  CHECK(kept({{"keep", 0.75}}, documents) == std::vector<bool>{true, true, false, true});
  CHECK(kept({{"keep", 1.0}}, documents) == std::vector<bool>(4, true));
  CHECK(kept({{"keep", 0.6}, {"of", "bytes"}}, documents) == std::vector<bool>{false, true, false, false});
  CHECK(kept({{"keep", 0.7}, {"of", "bytes"}}, documents) == std::vector<bool>{false, true, false, true});
  CHECK(kept({{"keep", 0.85}, {"of", "bytes"}}, documents) == std::vector<bool>{true, true, false, true});
}

}  // namespace top_test
