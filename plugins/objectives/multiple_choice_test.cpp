#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace multiple_choice_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using Texts = std::vector<std::vector<xp::Example>>;

FixtureSpec spec(xp::Table objective = {}) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.5}};
  objective.insert_or_assign("type", "multiple_choice");
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.dataset_fields.push_back({"right", "", 0});
  s.type = at::kDouble;
  return s;
}

std::size_t size_of(std::size_t group) { return 2 + group % 4; }
std::size_t place_of(std::size_t group) { return group * 3 % size_of(group); }

/// Groups of two to five texts. The right one, whose place changes, is of the first ids of the vocabulary, the others
/// are of the rest.
Texts choices(int groups, std::uint64_t seed = 7) {
  auto all = xp::testing::random_texts(spec(), groups, 5, seed);
  for (std::size_t g = 0; g < all.size(); ++g) {
    all[g].resize(size_of(g));
    for (std::size_t m = 0; m < all[g].size(); ++m) {
      const bool right = m == place_of(g);
      for (auto& id : all[g][m].ints("ids").data) id = right ? 25 + id % 8 : 33 + id % 15;
      all[g][m].fields["right"] = xp::Ints{{right}};
    }
  }
  return all;
}

/// Items of groups `from` to `to` of choices().
xp::Batch part(const xp::Batch& whole, std::size_t from, std::size_t to) {
  std::int64_t first = 0, n = 0;
  for (std::size_t g = 0; g < to; ++g) (g < from ? first : n) += static_cast<std::int64_t>(size_of(g));
  return whole.select(xp::ops::arange(first, first + n, at::kLong));
}

double largest_gradient(Fixture& f, const char* parameter) {
  return xp::testing::gradients(f)[f.all().find(parameter)].abs().max().item<double>();
}

TEST_CASE("multiple_choice costs the cross-entropy of the right text among those of its group") {
  for (const char* pooling : {"first", "mean", "last"}) {
    CAPTURE(pooling);
    Fixture f(xp::testing::registry(), spec({{"pooling", pooling}}));
    const auto batch = f.load(choices(13));
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
    double expected = 0, right = 0;
    std::int64_t item = 0;
    for (std::size_t g = 0; g < 13; ++g) {
      double sum = 0, own = 0, best = -1e9;
      for (std::size_t m = 0; m < size_of(g); ++m, ++item) {
        const double one = score(item);
        sum += std::exp(one), (m == place_of(g) ? own : best) = m == place_of(g) ? one : std::max(best, one);
      }
      expected -= std::log(std::exp(own) / sum) / 13, right += (own > best) / 13.0;
    }
    CHECK(std::abs(found - expected) < 1e-12);
    CHECK(std::abs(f.metrics.at("accuracy") - right) < 1e-12);
    CHECK((right > 0 && right < 1));  // both answers were seen
    CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
    CHECK(largest_gradient(f, "objective.score") > 1e-3);
  }
}

TEST_CASE("multiple_choice counts groups at their right text, whatever their size") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(choices(9));
  const auto counts = f.objective().counts(batch).at("multiple_choice");
  CHECK(counts.equal(batch.dense("right").to(at::kLong)));
  CHECK(counts.sum().item<std::int64_t>() == 9);
  const auto sums = f.objective().step(batch, f.context()).terms.at(0).sum;
  CHECK(sums.gt(0).equal(batch.dense("right").ne(0)));
}

TEST_CASE(
    "multiple_choice compares within groups only: micro-batches of whole groups add up, order changes nothing") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(choices(11));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  CHECK(std::abs(f.accumulate({part(batch, 0, 3), part(batch, 3, 4), part(batch, 4, 11)}) - whole) < 1e-12);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  CHECK_FALSE(f.objective().batch_coupled());
  auto turned = choices(11);
  for (auto& group : turned) std::reverse(group.begin(), group.end());
  std::reverse(turned.begin(), turned.end());
  CHECK(std::abs(f.accumulate({f.load(turned)}) - whole) < 1e-12);
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
}

TEST_CASE("multiple_choice sees a group that comes again right behind itself as another one") {
  Fixture f(xp::testing::registry(), spec());
  auto once = choices(2);
  once.erase(once.begin());
  const double loss = f.accumulate({f.load(once)});
  const auto twice = f.load({once[0], once[0]});
  CHECK(f.objective().counts(twice).at("multiple_choice").sum().item<std::int64_t>() == 2);
  CHECK(std::abs(f.accumulate({twice}) - loss) < 1e-12);
}

TEST_CASE("multiple_choice learns to choose and hands its scores over") {
  Fixture f(xp::testing::registry(), spec());
  const double before = f.accumulate({f.load(choices(24, 100))});
  for (std::uint64_t step = 0; step < 30; ++step) f.accumulate({f.load(choices(24, 100 + step))}), f.update(1e-2, 0);
  CHECK(f.accumulate({f.load(choices(24, 100))}) < before / 4);
  const at::NoGradGuard quiet;
  const auto fresh = f.load(choices(20, 9));
  const auto handle = f.handle();
  REQUIRE(handle->can("predict"));
  CHECK(handle->can("encode"));
  const auto scores = handle->predict(fresh, "right");
  REQUIRE(scores.sizes() == at::IntArrayRef({fresh.items(), 1}));
  std::int64_t from = 0, right = 0;
  for (std::size_t g = 0; g < 20; from += static_cast<std::int64_t>(size_of(g++)))
    right += scores.narrow(0, from, static_cast<std::int64_t>(size_of(g))).argmax().item<std::int64_t>() ==
             static_cast<std::int64_t>(place_of(g));
  CHECK(right >= 19);
  CHECK_THROWS_WITH(handle->predict(fresh, "label"),
                    ContainsSubstring("the model chooses by `right`, not by `label`"));
  const auto& head = f.all().info[f.all().find("objective.score")];
  CHECK((head.role == "head" && head.lifetime == xp::Lifetime::keep));
}

TEST_CASE("multiple_choice needs one right text of two or more in each group, and names the texts otherwise") {
  Fixture f(xp::testing::registry(), spec());
  auto texts = choices(4);  // groups of 2, 3, 4 and 5; the third has samples 10 to 13
  const auto mark = [&](std::size_t member, std::int64_t value) {
    texts[2][member].fields["right"] = xp::Ints{{value}};
    return f.load(texts);
  };
  REQUIRE(place_of(2) == 2);
  CHECK_THROWS_WITH(
      f.accumulate({mark(2, 0)}),
      ContainsSubstring("group 2 of the data has 4 texts, 0 of them right by field `right` (samples 10, "
                        "11, 12, 13)"));
  mark(2, 1);
  CHECK_THROWS_WITH(f.accumulate({mark(0, 1)}), ContainsSubstring("has 4 texts, 2 of them right"));
  CHECK_THROWS_WITH(f.accumulate({mark(0, 3)}), ContainsSubstring("`right` of sample 10 is 3; it is 1 for a right"));
  mark(0, 0);
  CHECK(f.accumulate({f.load(texts)}) > 0);
  texts[2].erase(texts[2].begin(), texts[2].begin() + 2), texts[2].pop_back();
  CHECK_THROWS_WITH(f.accumulate({f.load(texts)}), ContainsSubstring("has 1 text, 1 of them right"));
}

TEST_CASE("multiple_choice refuses a field that is missing or has no number per text") {
  auto s = spec({{"field", "answer"}});
  Fixture absent(xp::testing::registry(), s);
  CHECK_THROWS_WITH(absent.accumulate({absent.load(choices(2))}),
                    ContainsSubstring("the data have no number `answer` in every text"));
  s = spec({{"field", "ids"}});
  Fixture tokens(xp::testing::registry(), s);
  CHECK_THROWS_WITH(tokens.accumulate({tokens.load(choices(2))}), ContainsSubstring("field `ids` has 2 axes"));
}

}  // namespace multiple_choice_test
