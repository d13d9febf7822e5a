#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/evaluator.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"

namespace sum_test {

using Catch::Matchers::ContainsSubstring;
using xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec(Table objective) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.dataset_fields.push_back({"better", "", 0});
  return s;
}

Table masked(double weight = 1) { return {{"type", "mlm"}, {"mask_rate", 0.3}, {"weight", weight}}; }
Table rank(double weight = 1) { return {{"type", "margin_rank"}, {"weight", weight}}; }
Table sum(List terms, const char* share = "none") {
  return {{"type", "sum"}, {"share", share}, {"terms", std::move(terms)}};
}

std::vector<std::vector<xp::Example>> pairs(int groups) {
  auto all = random_texts(spec({}), groups, 2);
  for (auto& group : all)
    for (std::size_t m = 0; m < group.size(); ++m) group[m].fields["better"] = xp::Ints{{m == 0}};
  return all;
}

TEST_CASE("sum of one objective is that objective, bit for bit") {
  Fixture plain(xp::testing::registry(), spec({{"type", "mlm"}, {"mask_rate", 0.3}}));
  for (const char* share : {"none", "pass"}) {
    CAPTURE(share);
    Fixture wrapped(xp::testing::registry(), spec(sum({masked()}, share)));
    const auto batch = plain.load(pairs(16)), same = wrapped.load(pairs(16));
    CHECK(batch.dense("masked_ids").equal(same.dense("masked_ids")));
    const double loss = plain.accumulate({batch}), other = wrapped.accumulate({same});
    // All positions instead of the picked ones round in another order.
    const double most = std::string(share) == "none" ? 0 : 1e-6;
    CHECK(std::abs(loss - other) <= most);
    CHECK(xp::testing::largest_difference(xp::testing::gradients(plain), xp::testing::gradients(wrapped)) <= most);
    CHECK(wrapped.passes == std::map<std::string, int>{{"primary", 1}});
  }
}

TEST_CASE("sum multiplies losses and gradients by the weights") {
  Fixture one(xp::testing::registry(), spec(sum({masked(), rank()}))),
      more(xp::testing::registry(), spec(sum({masked(3), rank(0.5)})));
  const auto batch = one.load(pairs(8));
  one.accumulate({batch});
  const double expected = 3 * one.terms.at("mlm.mlm") + 0.5 * one.terms.at("margin_rank.rank");
  CHECK(std::abs(more.accumulate({batch}) - expected) < 1e-5);
  one.accumulate({batch}, "mlm");
  auto gradients = xp::testing::gradients(one);
  one.accumulate({batch}, "margin_rank");
  const auto second = xp::testing::gradients(one);
  for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i] = gradients[i] * 3 + second[i] * 0.5;
  CHECK(xp::testing::largest_difference(gradients, xp::testing::gradients(more)) < 1e-5);
}

TEST_CASE("sum with a shared pass costs one pass, and its later terms read the first one's input") {
  Fixture shared(xp::testing::registry(), spec(sum({masked(), rank()}, "pass"))),
      apart(xp::testing::registry(), spec(sum({masked(), rank()})));
  const auto batch = shared.load(pairs(16));
  shared.accumulate({batch}), apart.accumulate({batch});
  CHECK(shared.passes.at("primary") == 1);
  CHECK(apart.passes.at("primary") == 2);
  CHECK(std::abs(shared.terms.at("mlm.mlm") - apart.terms.at("mlm.mlm")) < 1e-6);
  CHECK(std::abs(shared.terms.at("margin_rank.rank") - apart.terms.at("margin_rank.rank")) > 1e-6);
  Fixture alone(xp::testing::registry(), spec({{"type", "margin_rank"}}));
  auto& weights = alone.all().values;
  const at::NoGradGuard quiet;
  for (std::size_t i = 0; i < weights.size(); ++i)  // the same head, as a second term draws another start
    weights[i].copy_(shared.all().values[i]);
  auto reads_masked = batch;
  reads_masked.set("ids", batch.dense("masked_ids"));
  const auto expected =
      alone.objective().step(reads_masked, alone.context()).terms.at(0).sum.sum().item<double>() / 16;
  CHECK(std::abs(shared.terms.at("margin_rank.rank") - expected) < 1e-6);
}

TEST_CASE("sum adds micro-batches of whole groups up to the whole batch") {
  for (const char* share : {"none", "pass"}) {
    Fixture f(xp::testing::registry(), spec(sum({masked(), rank()}, share)));
    const auto batch = f.load(pairs(16));
    const double whole = f.accumulate({batch});
    const auto exact = xp::testing::gradients(f);
    for (const int size : {8, 6}) {
      CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-5);
      CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
    }
  }
}

TEST_CASE("sum hands a schedule to its term and to the transform of its term") {
  Fixture f(xp::testing::registry(), spec(sum({rank(), masked()})));
  const auto share = [&] {
    const auto batch = f.load(pairs(32));
    return batch.dense("labels").ge(0).sum().item<double>() / batch.dense("input.mask").sum().item<double>();
  };
  CHECK(share() < 0.4);
  f.set("mlm.mask_rate", 0.9);
  CHECK(share() > 0.8);
}

TEST_CASE("sum is used as the first of its terms that has a way of its own") {
  auto s = spec(sum({masked(), Table{{"type", "classification"}}}));
  s.dataset_fields.push_back({"label", "", -1});
  s.categories["label"] = {"no", "yes"};
  Fixture f(xp::testing::registry(), s), plain(xp::testing::registry(), spec(sum({masked()})));
  CHECK(f.handle()->can("predict"));
  CHECK_FALSE(plain.handle()->can("predict"));
  auto texts = pairs(3);
  for (auto& group : texts)
    for (auto& item : group) item.fields["label"] = xp::Ints{{0}};
  CHECK(f.handle()->predict(f.load(texts), "label").sizes() == at::IntArrayRef({6, 2}));
}

TEST_CASE("sum is coupled over the batch if a term is") {
  const Table pairs_of_batch{{"type", "in_batch_softmax"}};
  Fixture f(xp::testing::registry(), spec(sum({masked(), pairs_of_batch})));
  const auto batch = f.load(pairs(4));
  CHECK_THROWS_WITH(f.accumulate(xp::testing::split(batch, 4)), ContainsSubstring("cannot be split"));
  Fixture free(xp::testing::registry(), spec(sum({masked()})));
  CHECK_FALSE(free.objective().batch_coupled());
}

TEST_CASE("sum keeps what every objective keeps") {
  const Table next{{"type", "causal_lm"}};
  for (const char* share : {"none", "pass"})
    CHECK(xp::testing::check_objective(xp::testing::registry(), sum({next, next}, share), {spec({}).model}).empty());
}

TEST_CASE("sum refuses nothing, a field that is written twice, and what a shared pass cannot serve") {
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), spec(sum({}))), ContainsSubstring("a sum needs an objective"));
  Fixture twice(xp::testing::registry(), spec(sum({masked(), masked()})));
  CHECK_THROWS_WITH(twice.load(pairs(2)), ContainsSubstring("written twice, the second time by `mlm_2`"));
  Fixture ahead(xp::testing::registry(), spec(sum({masked(), Table{{"type", "causal_lm"}}}, "pass")));
  CHECK_THROWS_WITH(ahead.accumulate({ahead.load(pairs(2))}),
                    ContainsSubstring("`causal_lm` cannot share the pass of `primary`"));
  Fixture own(xp::testing::registry(),
              spec(sum({masked(), Table{{"type", "in_batch_softmax"}, {"pooling", "own"}}}, "pass")));
  CHECK_THROWS_WITH(own.accumulate({own.load(pairs(4))}),
                    ContainsSubstring("`in_batch_softmax` asks for the model's own pooling"));
}

}  // namespace sum_test
