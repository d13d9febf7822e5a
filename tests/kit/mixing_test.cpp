#include <ATen/ops/logaddexp.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/matching.h"
#include "kit/mixing.h"
#include "testing/tokenizer_checks.h"

using namespace xp;
using Catch::Matchers::WithinAbs;

namespace {

// A table whose numbers come from a stream, so that the test does not touch LibTorch's generator.
at::Tensor numbers(std::int64_t rows, std::int64_t width, std::uint64_t seed) {
  auto table = xp::ops::empty({rows, width}, at::kFloat);
  RandomStream stream(seed);
  for (std::int64_t i = 0; i < table.numel(); ++i)
    table.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform() * 2 - 1);
  return table;
}

}  // namespace

TEST_CASE("copying every row gives the same table bit for bit") {
  const auto table = numbers(7, 5, 1);
  MixPlan plan(7, 7);
  for (TokenId i = 0; i < 7; ++i) plan.set_row(i, {{i, 1}}, "copy");
  CHECK(apply_plan(plan, table, "vocab.input").equal(table));
}

TEST_CASE("permuted ids permute rows and bias alike") {
  const auto table = numbers(6, 4, 2), bias = numbers(6, 1, 3).squeeze(1);
  MixPlan plan(6, 6);
  for (TokenId i = 0; i < 6; ++i) plan.set_row(i, {{(i + 2) % 6, 1}}, "copy");
  const auto rows = apply_plan(plan, table, "vocab.input"), own = apply_plan(plan, bias, "vocab.bias");
  for (std::int64_t i = 0; i < 6; ++i) {
    CHECK(rows[i].equal(table[(i + 2) % 6]));
    CHECK(own[i].item<float>() == bias[(i + 2) % 6].item<float>());
  }
}

TEST_CASE("a row is the weighted sum of its parts, a uniform one the mean, a dense one its numbers") {
  const auto table = numbers(3, 2, 4);
  MixPlan plan(3, 3);
  plan.set_row(0, {{0, 0.25}, {2, 0.75}}, "similarity");
  plan.set_uniform_row(1, "mean");
  plan.set_dense_row(2, "vocab.input", std::vector<float>{7, 8}, "random");
  const auto made = apply_plan(plan, table, "vocab.input");
  for (int d = 0; d < 2; ++d) {
    CHECK_THAT(made[0][d].item<double>(),
               WithinAbs(0.25 * table[0][d].item<double>() + 0.75 * table[2][d].item<double>(), 1e-6));
    CHECK_THAT(made[1][d].item<double>(), WithinAbs(table.mean(0)[d].item<double>(), 1e-6));
  }
  CHECK(made[2][0].item<float>() == 7);
  CHECK_THROWS_AS(apply_plan(plan, table, "vocab.output"), Error);  // row 2 says nothing for that table
}

TEST_CASE("the leak bound holds for any hidden state and is tight for one source") {
  constexpr std::int64_t kOld = 40, kNew = 30, kWidth = 8;
  const auto table = numbers(kOld, kWidth, 5);
  MixPlan plan(kOld, kNew);
  RandomStream stream(6);
  for (TokenId i = 0; i < kNew; ++i) {
    const double u = stream.uniform();
    plan.set_row(i,
                 {{static_cast<TokenId>(stream.below(kOld)), u}, {static_cast<TokenId>(stream.below(kOld)), 1 - u}},
                 "convex");
  }
  const auto bound = report(plan, {}).leak_bound;
  REQUIRE(bound);
  const auto fresh = apply_plan(plan, table, "vocab.output");
  for (std::uint64_t seed = 10; seed < 60; ++seed) {
    const auto hidden = numbers(kWidth, 1, seed).mul(6);
    const auto before = table.matmul(hidden).logsumexp({0}),
               after = at::logaddexp(before, fresh.matmul(hidden).logsumexp({0}));
    CHECK(after.sub(before).max().item<double>() <= *bound + 1e-5);
  }
  MixPlan hub(kOld, 3);
  for (TokenId i = 0; i < 3; ++i) hub.set_row(i, {{0, 1}}, "convex");
  CHECK_THAT(*report(hub, {}).leak_bound, WithinAbs(std::log(4.0), 1e-12));
  CHECK_THAT(report(hub, {}).hubness, WithinAbs(1.0, 1e-12));
}

TEST_CASE("a plan that leaves the hull has no leak bound") {
  MixPlan plan(2, 1);
  plan.set_row(0, {{0, 1.5}, {1, -0.5}}, "affine");
  CHECK(!report(plan, {}).leak_bound);
}

TEST_CASE("a row is set once, in range, with finite weights") {
  MixPlan plan(2, 2);
  plan.set_row(0, {{1, 1}}, "copy");
  CHECK_THROWS_AS(plan.set_row(0, {{1, 1}}, "copy"), Error);
  CHECK_THROWS_AS(plan.set_row(1, {{2, 1}}, "copy"), Error);
  CHECK_THROWS_AS(plan.set_row(1, {{0, std::nan("")}}, "copy"), Error);
  CHECK_THROWS_AS(plan.set_row(1, {}, "copy"), Error);
  CHECK_THROWS_AS(plan.set_row(2, {{0, 1}}, "copy"), Error);
  CHECK(plan.open_rows() == std::vector<TokenId>{1});
}

TEST_CASE("vocabularies match by bytes and word start, specials by purpose") {
  const std::vector<std::string> texts{"the cat sat on the mat", "the dog sat on the log", "cats and dogs and mats"};
  const auto left =
      testing::fit(*testing::make_tokenizer("wordpiece", {{"vocab_size", 60}, {"min_count", 1}}), texts);
  const auto right = testing::fit(*testing::make_tokenizer("unigram", {{"vocab_size", 60}}), texts);
  const auto matches = match_vocabularies(*left, *right, {MatchLevel::exact});
  std::size_t found = 0;
  for (TokenId id = 0; id < right->size(); ++id) {
    const auto& match = matches[static_cast<std::size_t>(id)];
    if (!match) continue;
    ++found;
    const auto a = left->key(match->source), b = right->key(id);
    if (match->special)
      CHECK(a.purpose == b.purpose);
    else
      CHECK(a.bytes == b.bytes);
  }
  CHECK(found > right->purposes().size());
  for (const auto& [purpose, id] : right->purposes()) {
    REQUIRE(matches[static_cast<std::size_t>(id)]);
    CHECK(matches[static_cast<std::size_t>(id)]->source == left->purposes().at(purpose));
  }
  const auto same = match_vocabularies(*left, *left, {MatchLevel::exact});
  for (TokenId id = 0; id < left->size(); ++id) CHECK(same[static_cast<std::size_t>(id)]->source == id);
}

TEST_CASE("a role may mix a row otherwise, and a row may lean to the mean") {
  const auto table = numbers(4, 3, 6);
  MixPlan plan(4, 2);
  CHECK_THROWS_AS(plan.set_role_parts(0, "vocab.output", {{1, 1}}), Error);  // nothing that could be mixed otherwise
  plan.set_row(0, {{0, 0.5}, {2, 0.5}}, "pieces");
  plan.set_role_parts(0, "vocab.output", {{2, 1}});
  CHECK_THROWS_AS(plan.set_role_parts(0, "vocab.output", {{1, 1}}), Error);
  CHECK_THROWS_AS(plan.set_role_parts(0, "vocab.bias", {{4, 1}}), Error);
  CHECK_THROWS_AS(plan.set_role_parts(0, "vocab.bias", {}), Error);
  plan.set_uniform_row(1, "mixed", {}, 0.5, {{3, 0.5}});
  CHECK_THROWS_AS(plan.set_row(1, {{0, 1}}, "again"), Error);
  const auto input = apply_plan(plan, table, "vocab.input"), output = apply_plan(plan, table, "vocab.output");
  CHECK(output[0].equal(table[2]));
  CHECK(input[0].sub(table[0].add(table[2]).mul(0.5)).abs().max().item<double>() < 1e-6);
  CHECK(input[1].sub(table.mean(0).add(table[3]).mul(0.5)).abs().max().item<double>() < 1e-6);
  const auto about = report(plan, {}, "vocab.output");
  REQUIRE(about.leak_bound);
  CHECK_THAT(*about.leak_bound, WithinAbs(std::log1p(0.125 + 1.0), 1e-9));  // of token 2
  CHECK_THAT(*report(plan, {}, "vocab.input").leak_bound, WithinAbs(std::log1p(0.125 + 0.5), 1e-9));
  const auto state = plan_state(plan);
  CHECK(state.ints("source").data == std::vector<std::int64_t>{0, 2, 3});
  CHECK(state.ints("source.vocab.output").data == std::vector<std::int64_t>{2, 3});
  CHECK(state.floats("uniform").data == std::vector<float>{0, 0.5F});
}
