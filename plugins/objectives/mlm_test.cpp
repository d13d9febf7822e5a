#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace mlm_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table objective, at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.type = type;
  return s;
}

double loss(Fixture& f, const xp::Batch& batch) { return f.accumulate({batch}); }

/// 4 x 8 and micro-batches of unequal size give what 32 give.
void check_accumulation(Fixture& f, const xp::Batch& batch) {
  REQUIRE(batch.items() == 32);
  const double whole = loss(f, batch);
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-6 * std::abs(whole));
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-6);
  }
}

TEST_CASE("mlm is the mean cross entropy of the chosen tokens") {
  Fixture f(xp::testing::registry(), spec({{"type", "mlm"}, {"mask_rate", 0.3}, {"accuracy", true}}, at::kDouble));
  const auto batch = f.load(xp::testing::random_texts(spec({}), 8));
  const double found = loss(f, batch);
  const at::NoGradGuard quiet;
  const auto& w = f.weights("primary").values;
  const auto all = f.model("primary").forward(
      w, {.ids = batch.dense("masked_ids"), .mask = batch.dense("input.mask")}, {.tokens = true});
  const auto scores = f.model("primary").logits(w, all.tokens).log_softmax(-1);
  const auto labels = batch.dense("labels");
  const auto chosen = labels.ge(0);
  const auto nats = -scores.gather(-1, labels.clamp_min(0).unsqueeze(-1)).squeeze(-1) * chosen;
  CHECK(std::abs(found - (nats.sum() / chosen.sum()).item<double>()) < 1e-12);
  const auto right = scores.argmax(-1).eq(labels).sum().item<double>() / chosen.sum().item<double>();
  CHECK(f.metrics.at("accuracy") == right);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
}

TEST_CASE("micro-batches of mlm add up to the whole batch") {
  Fixture f(xp::testing::registry(), spec({{"type", "mlm"}, {"mask_rate", 0.3}}));
  check_accumulation(f, f.load(xp::testing::random_texts(spec({}), 32)));
}

}  // namespace mlm_test
