#include "api/ops.h"
#include "scene_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>

#include "kit/tensors.h"

namespace gaussian_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::WithinAbs;

/// The new rows: [target, width].
at::Tensor rows_of(const MixPlan& plan, std::int64_t width) {
  std::vector<float> all;
  for (const auto& row : plan.rows()) {
    const auto& numbers = row.dense.at("vocab.input");
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return tensor_of(all, {std::ssize(all) / width, width}).to(at::kDouble);
}

TEST_CASE("gaussian with scale 0 is the mean, with scale 1 it has the old rows' covariance") {
  Scene scene;
  auto& table = scene.weights.values[0];
  table.select(1, 1).copy_(table.select(1, 0).mul(-1));  // two dimensions that move against each other
  const auto mean = table.mean(0).to(at::kDouble);
  const auto flat = rows_of(scene.plan({{"type", "gaussian"}, {"scale", 0.0}}), 6);
  CHECK(flat.sub(mean).abs().max().item<double>() < 1e-5);

  at::Tensor all;  // many seeds make the covariance visible
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto one = rows_of(scene.plan({{"type", "gaussian"}, {"scale", 1.0}}, seed), 6);
    all = all.defined() ? xp::ops::cat({all, one}) : one;
  }
  const auto spread = [](const at::Tensor& rows, const at::Tensor& around) {
    const auto centred = rows.to(at::kDouble).sub(around);
    return centred.t().matmul(centred).div(static_cast<double>(rows.size(0)));
  };
  const auto wanted = spread(table, mean), got = spread(all, mean);
  const double size = wanted.diagonal().mean().item<double>();
  CHECK(got.sub(wanted).abs().max().item<double>() < 0.1 * size);
  CHECK(got[0][1].item<double>() < -0.8 * size);

  at::Tensor apart;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto one = rows_of(scene.plan({{"type", "gaussian"}, {"scale", 1.0}, {"covariance", "diagonal"}}, seed), 6);
    apart = apart.defined() ? xp::ops::cat({apart, one}) : one;
  }
  const auto off = spread(apart, mean).sub(wanted);
  CHECK(off.diagonal().abs().max().item<double>() < 0.1 * size);
  CHECK(std::abs(spread(apart, mean)[0][1].item<double>()) < 0.1 * size);
}

TEST_CASE("gaussian's usual scale is the mean with a trace of noise, 1e-5 of the variance") {
  const Scene scene;
  const auto rows = rows_of(scene.plan({{"type", "gaussian"}}), 6);
  const auto off = rows.sub(scene.table().to(at::kDouble).mean(0));
  const double share =
      off.square().mean().item<double>() / scene.table().to(at::kDouble).var(0, false).mean().item<double>();
  CHECK_THAT(share, WithinAbs(1e-5, 3e-6));
  CHECK(rows[0].sub(rows[1]).abs().max().item<double>() > 0);  // rows differ, so that training can part them
}

TEST_CASE("gaussian: a bias keeps its mean, tied tables are drawn once, a singular covariance is no obstacle") {
  Scene scene;
  scene.weights.info.push_back({"head.output", "vocab.output"});
  scene.weights.values.push_back(scene.weights.values[0]);
  scene.weights.values[0].narrow(1, 0, 3).fill_(2);  // three dimensions without any spread
  const auto plan = scene.plan({{"type", "gaussian"}, {"scale", 1.0}});
  for (const auto& row : plan.rows()) {
    CHECK_THAT(row.dense.at("vocab.bias").at(0), WithinAbs(scene.weights.values[1].mean().item<double>(), 1e-5));
    CHECK_FALSE(row.dense.contains("vocab.output"));
    CHECK_THAT(row.dense.at("vocab.input").at(1), WithinAbs(2, 1e-3));
    CHECK(std::isfinite(row.dense.at("vocab.input").at(5)));
  }
  scene.weights.values[0][0][0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(scene.plan({{"type", "gaussian"}}), Catch::Matchers::ContainsSubstring("not finite"));
}

}  // namespace gaussian_test
