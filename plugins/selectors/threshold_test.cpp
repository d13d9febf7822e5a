#include <catch2/catch_test_macros.hpp>

#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace threshold_test {

using namespace xp;

TEST_CASE("threshold describes itself") { testing::check_component(testing::registry(), "selector", "threshold"); }

TEST_CASE("threshold: what scores at least as stated") {
  const std::vector<Scored> documents{{-1, 5}, {0.5, 5}, {0.4999, 5}, {2, 0}};
  const auto kept = [&](const Value& least) {
    return testing::registry()
        .make<Selector>({{"type", "threshold"}, {"least", least}})
        ->select(documents, RandomStream(1));
  };
  CHECK(kept(0.5) == std::vector<bool>{false, true, false, true});
  CHECK(kept(-1) == std::vector<bool>{true, true, true, true});
  CHECK(kept(3) == std::vector<bool>(4, false));
}

}  // namespace threshold_test
