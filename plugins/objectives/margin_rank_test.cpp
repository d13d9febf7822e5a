#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace margin_rank_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table objective = {}) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.5}};
  objective.insert_or_assign("type", "margin_rank");
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.dataset_fields.push_back({"better", "", 0});
  s.type = at::kDouble;
  return s;
}

/// Pairs in which the better text stands first in every other group; the last group has no better one.
std::vector<std::vector<xp::Example>> pairs(int groups) {
  auto all = xp::testing::random_texts(spec(), groups, 2);
  for (std::size_t g = 0; g < all.size(); ++g)
    for (std::size_t m = 0; m < 2; ++m)
      all[g][m].fields["better"] = xp::Ints{{g + 1 < all.size() && (m == 0) == (g % 2 == 0)}};
  return all;
}

TEST_CASE("margin_rank costs the margin minus the lead, averaged over pairs with a better text") {
  for (const char* pooling : {"first", "mean", "last"}) {
    CAPTURE(pooling);
    Fixture f(xp::testing::registry(), spec({{"margin", 0.002}, {"pooling", pooling}}));
    const auto batch = f.load(pairs(13));
    const double found = f.accumulate({batch});
    const auto& mask = batch.dense("input.mask");
    const auto x =
        f.model("primary")
            .forward(f.weights("primary").values, {.ids = batch.dense("ids"), .mask = mask}, {.tokens = true})
            .tokens;
    const auto& head = f.all().values[f.all().find("objective.score")];
    const auto score = [&](std::int64_t i) {
      const auto n = mask[i].sum().item<std::int64_t>();
      const auto pooled = std::string(pooling) == "first"  ? x[i][0]
                          : std::string(pooling) == "last" ? x[i][n - 1]
                                                           : x[i].narrow(0, 0, n).mean(0);
      return pooled.dot(head[0]).item<double>();
    };
    double expected = 0, right = 0, nothing = 0;
    for (std::int64_t g = 0; g < 12; ++g) {
      const double lead = (g % 2 == 0 ? 1 : -1) * (score(2 * g) - score(2 * g + 1));
      expected += std::max(0.0, 0.002 - lead) / 12;
      right += (lead > 0) / 12.0, nothing += lead > 0.002;
    }
    CHECK(std::abs(found - expected) < 1e-12);
    CHECK(std::abs(f.metrics.at("accuracy") - right) < 1e-12);
    CHECK((nothing > 0 && nothing < 12));  // both sides of the hinge were seen
    CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  }
}

TEST_CASE("margin_rank learns pairs, and micro-batches of whole pairs add up") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(pairs(17));
  const double before = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 6}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - before) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
  for (int i = 0; i < 30; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before / 2);
  CHECK(f.metrics.at("accuracy") > 0.9);
}

TEST_CASE("margin_rank learns nothing from a pair without a better text, and its head does not outlive training") {
  Fixture f(xp::testing::registry(), spec());
  auto texts = pairs(5);
  for (auto& group : texts)
    for (auto& item : group) item.fields["better"] = xp::Ints{{1}};
  CHECK(f.accumulate({f.load(texts)}) == 0);
  for (const auto& gradient : xp::testing::gradients(f)) CHECK(gradient.abs().max().item<double>() == 0);
  CHECK(f.all().info[f.all().find("objective.score")].lifetime == xp::Lifetime::pretrain_only);
}

TEST_CASE("margin_rank refuses what is no pair") {
  Fixture f(xp::testing::registry(), spec());
  const auto run = [&](int members) {
    auto texts = xp::testing::random_texts(spec(), 4, members);
    for (auto& group : texts)
      for (auto& item : group) item.fields["better"] = xp::Ints{{0}};
    f.accumulate({f.load(texts)});
  };
  CHECK_THROWS_WITH(run(1), ContainsSubstring("group 0 of the data has 1 text"));
  CHECK_THROWS_WITH(run(4), ContainsSubstring("has 4 texts"));
}

}  // namespace margin_rank_test
