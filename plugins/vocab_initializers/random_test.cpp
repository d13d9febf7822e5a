#include "scene_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

namespace random_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::WithinAbs;

TEST_CASE("random rows follow the old rows' mean and spread in each dimension") {
  Scene scene;
  scene.weights.values[0].select(1, 3).mul_(4).add_(10);  // one dimension unlike the others
  const auto plan = scene.plan({{"type", "random"}});
  const auto mean = scene.table().mean(0), sd = scene.table().std(0, false);
  for (std::int64_t d = 0; d < 6; ++d) {
    double sum = 0, square = 0, n = 0;
    for (const auto& row : plan.rows()) {
      const double x = row.dense.at("vocab.input").at(static_cast<std::size_t>(d));
      sum += x, square += x * x, ++n;
    }
    const double spread = sd[d].item<double>();
    CHECK_THAT(sum / n, WithinAbs(mean[d].item<double>(), 0.4 * spread));
    CHECK_THAT(std::sqrt(square / n - sum / n * sum / n), WithinAbs(spread, 0.35 * spread));
  }
  for (const auto& row : plan.rows()) {  // a bias keeps its mean
    CHECK_THAT(row.dense.at("vocab.bias").at(0), WithinAbs(scene.weights.values[1].mean().item<double>(), 1e-5));
    CHECK(row.rule == "random");
  }
}

TEST_CASE("random rows depend on seed and token, not on which other rows are open") {
  const Scene scene;
  const auto all = scene.plan({{"type", "random"}}), other = scene.plan({{"type", "random"}}, 5);
  MixPlan some(scene.source->size(), scene.target->size());
  for (const auto row : some.open_rows())
    if (row % 2 == 0) some.set_uniform_row(row, "taken");
  scene.fill({{"type", "random"}}, some);
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    if (id % 2 == 0)
      CHECK(some.rows()[i].rule == "taken");
    else
      CHECK(all.rows()[i].dense == some.rows()[i].dense);
    CHECK(all.rows()[i].dense.at("vocab.input") != other.rows()[i].dense.at("vocab.input"));
    if (id > 0) CHECK(all.rows()[i].dense.at("vocab.input") != all.rows()[0].dense.at("vocab.input"));
  }
}

TEST_CASE("random with scale 0 is the mean") {
  const Scene scene;
  const auto mean = scene.table().mean(0);
  const auto plan = scene.plan({{"type", "random"}, {"scale", 0.0}});
  for (const auto& row : plan.rows())
    for (std::int64_t d = 0; d < 6; ++d)
      CHECK_THAT(row.dense.at("vocab.input").at(static_cast<std::size_t>(d)),
                 WithinAbs(mean[d].item<double>(), 1e-5));
}

}  // namespace random_test
