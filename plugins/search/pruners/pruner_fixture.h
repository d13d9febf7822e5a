#pragma once
// Pruners with the settings that every test needs.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <limits>

#include "api/search.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace xp::fixture {

inline std::unique_ptr<Pruner> pruner(const std::string& type, Table more = {}) {
  more.insert({{"type", type}, {"metric", "pretrain.loss"}, {"rungs", List{"10%", "30%"}}});
  return testing::registry().make<Pruner>(more);
}

/// Whoever may go on now, in that order.
inline std::vector<std::int64_t> promoted(Pruner& pruner) {
  std::vector<std::int64_t> out;
  while (const auto trial = pruner.promote()) out.push_back(*trial);
  return out;
}

/// What every pruner says of its rule, and what it refuses.
inline void check_rule(const std::string& type) {
  using Catch::Matchers::ContainsSubstring;
  const auto rule = pruner(type, {{"better", "higher"}})->rule();
  CHECK(rule.metric == "pretrain.loss");
  CHECK(rule.higher);
  CHECK(rule.rungs == std::vector<double>{0.1, 0.3});
  CHECK_FALSE(pruner(type)->rule().higher);
  const auto with = [&](List rungs) { return pruner(type, {{"rungs", std::move(rungs)}}); };
  CHECK_THROWS_WITH(with({}), ContainsSubstring("a pruner without `rungs` prunes nothing"));
  CHECK_THROWS_WITH(with({"0%"}), ContainsSubstring("a rung at 0% prunes nothing"));
  CHECK_THROWS_WITH(with({"10%", "100%"}), ContainsSubstring("a rung at 100% after one at 10% prunes nothing"));
  CHECK_THROWS_WITH(with({"30%", "10%"}), ContainsSubstring("a rung at 10% after one at 30% prunes nothing"));
  CHECK_THROWS_WITH(with({"10%", "10%"}), ContainsSubstring("rungs rise"));
  try {
    with({"100%"});
    FAIL("made");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::usage);
  }
  const auto told = pruner(type);
  told->tell(4, 0, 1);
  CHECK_THROWS_WITH(told->tell(4, 0, 2), ContainsSubstring("trial 4 was told twice at rung 0"));
  CHECK_THROWS_WITH(told->tell(4, 2, 2), ContainsSubstring("at rung 2 of 2"));
}

}  // namespace xp::fixture
