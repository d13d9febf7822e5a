#include "scene_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

namespace mean_test {

using namespace xp;
using namespace xp::fixture;

TEST_CASE("mean gives every row the mean of each table, its bias as well") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "mean"}});
  CHECK(plan.open_rows().empty());
  for (const auto& row : plan.rows()) CHECK(row.rule == "mean");
  const auto made = apply_plan(plan, scene.table(), "vocab.input");
  CHECK(made.size(0) == scene.target->size());
  CHECK(made.sub(scene.table().mean(0, true)).abs().max().item<double>() < 1e-5);
  const auto& bias = scene.weights.values[1];
  CHECK(apply_plan(plan, bias, "vocab.bias").sub(bias.mean()).abs().max().item<double>() < 1e-5);
}

TEST_CASE("mean: the loss on old tokens rises by log(1 + N / V) at most") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "mean"}});
  const auto bound = report(plan, {}).leak_bound;
  REQUIRE(bound);
  const double by_hand =
      std::log1p(static_cast<double>(scene.target->size()) / static_cast<double>(scene.source->size()));
  CHECK(std::abs(*bound - by_hand) < 1e-9);
  const double leak = worst_leak(scene.table(), apply_plan(plan, scene.table(), "vocab.input"));
  CHECK(leak <= *bound + 1e-6);
  CHECK(leak > 0);
}

TEST_CASE("mean leaves rows alone that are set") {
  const Scene scene;
  MixPlan plan(scene.source->size(), scene.target->size());
  plan.set_row(0, {{7, 1}}, "copy");
  scene.fill({{"type", "mean"}}, plan);
  CHECK(plan.rows()[0].rule == "copy");
  CHECK(plan.rows()[1].rule == "mean");
}

}  // namespace mean_test
