#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>

#include "api/ops.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace classification_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table objective, at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}};
  objective.insert_or_assign("type", "classification");
  s.objective = std::move(objective);
  s.categories["label"] = {"early", "late", "middle"};
  s.dataset_fields.push_back({"label", "", -1});
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// The class is which third of the vocabulary the tokens come from; every seventh is unknown.
std::vector<std::vector<xp::Example>> texts(const FixtureSpec& s, int count, std::uint64_t seed) {
  auto all = xp::testing::random_texts(s, count, 1, seed);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& item = all[i][0];
    const auto label = static_cast<std::int64_t>(i % 3);
    for (auto& id : item.ints("ids").data) id = 25 + 7 * label + (id - 25) % 7;
    item.fields["label"] = xp::Ints{{i % 7 == 6 ? -1 : label}};
  }
  return all;
}

TEST_CASE("classification learns what can be told apart and predicts it through its handle") {
  for (const char* pooling : {"first", "mean", "last", "own"}) {
    for (const int hidden : {0, 8}) {
      CAPTURE(pooling, hidden);
      const auto s = spec({{"pooling", pooling}, {"hidden", hidden}, {"dropout", 0.1}});
      Fixture f(xp::testing::registry(), s);
      for (int step = 0; step < 40; ++step) {
        f.accumulate({f.load(texts(s, 24, 100 + static_cast<std::uint64_t>(step)))});
        f.update(1e-2, 0);
      }
      CHECK(f.metrics.at("accuracy") > 0.9);
      const at::NoGradGuard quiet;
      const auto fresh = f.load(texts(s, 30, 7));
      const auto handle = f.handle();
      REQUIRE(handle->can("predict"));
      const auto guess = handle->predict(fresh, "label").argmax(-1);
      CHECK(guess.equal(xp::ops::arange(30).remainder(3)));
      CHECK(handle->categories("label").at(1) == "late");
      CHECK_THROWS_WITH(handle->predict(fresh, "language"), ContainsSubstring("`label`, not by `language`"));
    }
  }
}

TEST_CASE("classification counts known labels, and micro-batches add up") {
  const auto s = spec({{"hidden", 4}, {"dropout", 0.2}});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(texts(s, 32, 1));
  CHECK(f.objective().counts(batch).at("classification").sum().item<std::int64_t>() == 28);
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 5}) {  // dropout is keyed by item, so it splits as well
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-6 * whole);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-6);
  }
}

TEST_CASE("classification learns the scores of a reference, softened by the temperature") {
  for (const double temperature : {1.0, 3.0}) {
    auto s = spec({{"targets", "reference"}, {"temperature", temperature}}, at::kDouble);
    s.predictions = [](std::string_view role, const xp::Batch& batch, std::string_view field) {
      CHECK(role == "teacher");
      CHECK(field == "label");
      return xp::ops::stack(
                 {batch.sample_id.remainder(3), batch.sample_id.remainder(5), batch.sample_id.remainder(2)}, 1)
          .to(at::kFloat);
    };
    Fixture f(xp::testing::registry(), s);
    const auto batch = f.load(texts(s, 12, 1));
    const double found = f.accumulate({batch});
    const at::NoGradGuard quiet;
    const auto own = f.handle()->predict(batch, "label").div(temperature);
    const auto wanted = s.predictions("teacher", batch, "label").to(at::kDouble).div(temperature);
    double sum = 0;
    for (std::int64_t i = 0; i < 12; ++i) {
      double all = 0, wanted_all = 0;
      for (int c = 0; c < 3; ++c) {
        all += std::exp(own[i][c].item<double>()), wanted_all += std::exp(wanted[i][c].item<double>());
      }
      for (int c = 0; c < 3; ++c)
        sum -= std::exp(wanted[i][c].item<double>()) / wanted_all * (own[i][c].item<double>() - std::log(all));
    }
    CHECK(std::abs(found - temperature * temperature * sum / 12) < 1e-10);  // items without a label count too
    CHECK(f.metrics.contains("agreement"));
  }
}

TEST_CASE("gradients of classification with a reference are those of finite differences") {
  auto s = spec({{"targets", "reference"}, {"temperature", 2.0}, {"hidden", 4}}, at::kDouble);
  s.predictions = [](std::string_view, const xp::Batch& batch, std::string_view) {
    return batch.sample_id.remainder(7).to(at::kDouble).unsqueeze(1).mul(xp::ops::tensor({0.1, -0.2, 0.3}));
  };
  Fixture f(xp::testing::registry(), s);
  CHECK(xp::testing::gradient_error(f, f.load(texts(s, 4, 1))) < 1e-8);
  s.predictions = [](std::string_view, const xp::Batch& batch, std::string_view) {
    return xp::ops::zeros({batch.items(), 2});
  };
  Fixture other(xp::testing::registry(), s);
  CHECK_THROWS_WITH(other.accumulate({other.load(texts(s, 4, 1))}),
                    ContainsSubstring("of 2 classes, the model has 3"));
}

TEST_CASE("gradients of classification are those of finite differences") {
  const auto s = spec({{"hidden", 4}}, at::kDouble);
  Fixture f(xp::testing::registry(), s);
  CHECK(xp::testing::gradient_error(f, f.load(texts(s, 4, 1))) < 1e-8);
}

TEST_CASE("the head stays with the model; a field with one class is refused") {
  auto s = spec({});
  Fixture f(xp::testing::registry(), s);
  int heads = 0;
  for (const auto& info : f.all().info) {
    if (!info.name.starts_with("objective.")) continue;
    ++heads;
    CHECK(info.role == "head");
    CHECK(info.lifetime == xp::Lifetime::keep);
  }
  CHECK(heads == 2);
  s.categories["label"] = {"only"};
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), s), ContainsSubstring("`label` has 1 value"));
}

}  // namespace classification_test
