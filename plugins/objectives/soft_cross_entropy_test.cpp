#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace soft_cross_entropy_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec(std::uint64_t seed, std::int64_t width, xp::Table objective) {
  FixtureSpec s;
  s.seed = seed;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 1},   {"width", width}, {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.4}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = at::kDouble;
  return s;
}

/// Wider than the students, so another model.
xp::Checkpoint teacher() {
  auto s = spec(5, 32, {{"type", "mlm"}});
  auto out = Fixture(xp::testing::registry(), s).exported();
  s.model.erase("type");
  out.settings = s.model;
  return out;
}

Fixture student(const xp::Checkpoint& of, xp::Table objective) {
  objective.insert_or_assign("type", "soft_cross_entropy");
  auto s = spec(1, 16, std::move(objective));
  s.references["teacher"] = &of;
  return Fixture(xp::testing::registry(), s);
}

TEST_CASE("soft_cross_entropy is the cross entropy of the reference's distribution at hidden tokens") {
  const auto of = teacher();
  for (const double t : {1.0, 2.5}) {
    CAPTURE(t);
    auto f = student(of, {{"temperature", t}, {"mask_rate", 0.3}});
    const auto batch = f.load(random_texts(spec(1, 16, {}), 8));
    const double found = f.accumulate({batch});
    CHECK(f.passes == std::map<std::string, int>{{"primary", 1}, {"teacher", 1}});
    const at::NoGradGuard quiet;
    const auto scores = [&](const char* role) {
      const auto& w = f.weights(role).values;
      const auto x = f.model(role).forward(w, {.ids = batch.dense("masked_ids"), .mask = batch.dense("input.mask")},
                                           {.tokens = true});
      return f.model(role).logits(w, x.tokens) / t;
    };
    const auto hidden = batch.dense("labels").ge(0);
    const auto nats = -(scores("teacher").softmax(-1) * scores("primary").log_softmax(-1)).sum(-1) * hidden;
    CHECK(std::abs(found - t * t * (nats.sum() / hidden.sum()).item<double>()) < 1e-12);
    const auto agreed = scores("teacher").argmax(-1).eq(scores("primary").argmax(-1)).logical_and(hidden);
    CHECK(f.metrics.at("agreement") == agreed.sum().item<double>() / hidden.sum().item<double>());
  }
}

TEST_CASE("soft_cross_entropy is least where the model is the reference, which has no gradient and stays") {
  const auto of = teacher();
  auto same = spec(5, 32, {{"type", "soft_cross_entropy"}, {"mask_rate", 0.3}});
  same.references["teacher"] = &of;
  Fixture f(xp::testing::registry(), same, &of);
  f.accumulate({f.load(random_texts(same, 8))});
  for (const auto& gradient : xp::testing::gradients(f)) CHECK(gradient.abs().max().item<double>() < 1e-12);
  CHECK(f.metrics.at("agreement") == 1);
  for (const auto& value : f.weights("teacher").values) CHECK((!value.grad().defined() && !value.requires_grad()));
}

TEST_CASE("soft_cross_entropy splits, has the gradients of finite differences, and brings the model closer") {
  const auto of = teacher();
  auto f = student(of, {{"temperature", 2.0}, {"mask_rate", 0.3}});
  const auto batch = f.load(random_texts(spec(1, 16, {}), 16));
  const double before = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  const double agreed = f.metrics.at("agreement");
  CHECK(std::abs(f.accumulate(xp::testing::split(batch, 5)) - before) < 1e-10);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  CHECK(xp::testing::gradient_error(f, batch, 2) < 1e-6);
  for (int i = 0; i < 40; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before);
  CHECK(f.metrics.at("agreement") > agreed);
}

TEST_CASE("soft_cross_entropy asks for the tokens that another term hides, from one pass") {
  const auto of = teacher();
  auto s = spec(1, 16,
                {{"type", "sum"},
                 {"share", "pass"},
                 {"terms", xp::List{xp::Table{{"type", "mlm"}, {"mask_rate", 0.3}},
                                    xp::Table{{"type", "soft_cross_entropy"}, {"hidden", "shared"}}}}});
  s.references["teacher"] = &of;
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 8));
  f.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}, {"teacher", 1}});
  const auto counts = f.objective().counts(batch);
  CHECK(counts.at("mlm.mlm").equal(counts.at("soft_cross_entropy.soft")));
}

TEST_CASE("soft_cross_entropy refuses no hidden tokens and no temperature") {
  const auto of = teacher();
  auto f = student(of, {{"hidden", "shared"}});
  CHECK_THROWS_WITH(f.accumulate({f.load(random_texts(spec(1, 16, {}), 2))}),
                    ContainsSubstring("none hides anything"));
  CHECK_THROWS_WITH(student(of, {{"temperature", 0.0}}), ContainsSubstring("`temperature` must be above 0"));
}

}  // namespace soft_cross_entropy_test
