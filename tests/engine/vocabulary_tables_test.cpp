#include "engine/vocabulary_tables.h"

#include <catch2/catch_test_macros.hpp>

#include "../scratch.h"
#include "api/ops.h"
#include "kit/mixing.h"

namespace xp::vocabulary_tables_test {
namespace {

constexpr std::int64_t kOld = 40, kNew = 5000, kWidth = 1024;  // 20 MB: three blocks

at::Tensor numbers(std::int64_t rows, std::int64_t width) {
  return ops::arange(rows * width, at::kFloat).sin().reshape({rows, width});
}

/// Rows of every kind in every block.
MixPlan plan_of_all_kinds() {
  MixPlan plan(kOld, kNew);
  for (TokenId id = 0; id < kNew; ++id) {
    if (id % 4 == 0) plan.set_row(id, {{id % 40, 1}}, "copy");
    if (id % 4 == 1) {
      plan.set_row(id, {{id % 40, 0.25}, {(id + 7) % 40, 0.75}}, "pieces");
      plan.set_role_parts(id, "vocab.bias", {{id % 40, 1}});
    }
    if (id % 4 == 2) plan.set_uniform_row(id, "mean");
    if (id % 4 == 3) {
      plan.set_dense_row(id, "vocab.input", std::vector<float>(kWidth, static_cast<float>(id)), "random");
      plan.set_dense_row(id, "vocab.bias", std::vector<float>{0.5f}, "random");
    }
  }
  return plan;
}

}  // namespace

TEST_CASE("tables made in blocks are those made whole, and tied ones are made once") {
  const Scratch scratch;
  const auto plan = plan_of_all_kinds();
  const auto table = numbers(kOld, kWidth), bias = numbers(kOld, 1).squeeze(1);
  Parameters old;
  old.info = {{"embedding.token", "vocab.input", -1},
              {"layer", "dense", 0},
              {"head", "vocab.output", -1},
              {"head.bias", "vocab.bias", -1}};
  old.values = {table, table, table, bias};
  const auto made = vocabulary_tables(old, plan, scratch.path());
  REQUIRE(made.size() == 3);
  CHECK(made.values[0].equal(apply_plan(plan, table, "vocab.input")));
  CHECK(made.values[1].is_same(made.values[0]));
  CHECK(made.values[2].equal(apply_plan(plan, bias, "vocab.bias")));
  CHECK(made.info[2].name == "head.bias");
  CHECK(entries(scratch.path()) == 0);
}

TEST_CASE("rows beyond the tokens stay where the vocabulary keeps its size") {
  const Scratch scratch;
  MixPlan plan(kOld, kOld);
  for (TokenId id = 0; id < kOld; ++id) plan.set_row(id, {{static_cast<TokenId>(kOld) - 1 - id, 1}}, "copy");
  const auto table = numbers(kOld + 3, 4);
  Parameters old;
  old.info = {{"embedding.token", "vocab.input", -1}}, old.values = {table};
  const auto made = vocabulary_tables(old, plan, scratch.path()).values[0];
  REQUIRE(made.size(0) == kOld + 3);
  CHECK(made.narrow(0, 0, kOld).equal(table.narrow(0, 0, kOld).flip({0})));
  CHECK(made.narrow(0, kOld, 3).equal(table.narrow(0, kOld, 3)));
  CHECK_THROWS_AS(vocabulary_tables({}, plan, scratch.path()), Error);
}

TEST_CASE("coordinates are mixed, and the tables are their products with the primitives") {
  const auto coordinates = numbers(kOld, 2), primitives = numbers(2, 6);
  const Factorisation factors{2,
                              {coordinates.const_data_ptr<float>(), coordinates.const_data_ptr<float>() + 2 * kOld},
                              {primitives.const_data_ptr<float>(), primitives.const_data_ptr<float>() + 12}};
  MixPlan plan(kOld, kOld);
  plan.set_row(0, {{1, 0.5}, {2, 0.5}}, "similarity");
  for (TokenId id = 1; id < kOld; ++id) plan.set_row(id, {{id, 1}}, "copy");
  Parameters old;
  const auto table = numbers(kOld + 1, 6).to(at::kHalf), bias = numbers(kOld, 1).squeeze(1);
  old.info = {{"embedding.token", "vocab.input", -1}, {"head", "vocab.output", -1}, {"head.bias", "vocab.bias", -1}};
  old.values = {table, table, bias};
  const auto made = folded_tables(old, plan, factors);
  const auto product = coordinates.matmul(primitives);
  REQUIRE(made.values[0].scalar_type() == at::kHalf);
  REQUIRE(made.values[0].size(0) == kOld + 1);
  CHECK(made.values[1].is_same(made.values[0]));
  const auto rows = made.values[0].to(at::kFloat);
  CHECK(rows[0].sub(product[1].add(product[2]).mul(0.5)).abs().max().item<double>() < 2e-3);
  CHECK(rows[5].sub(product[5]).abs().max().item<double>() < 2e-3);
  CHECK(made.values[0][kOld].equal(table[kOld]));  // a row beyond the tokens
  CHECK(std::abs(made.values[2][0].item<double>() - 0.5 * (bias[1].item<double>() + bias[2].item<double>())) < 1e-6);
}

TEST_CASE("a table that finds no place on the disk is an error that names the file") {
  const Scratch scratch;
  MixPlan plan(kOld, 1);
  plan.set_row(0, {{0, 1}}, "copy");
  Parameters old;
  old.info = {{"embedding.token", "vocab.input", -1}}, old.values = {numbers(kOld, 4)};
  try {
    vocabulary_tables(old, plan, scratch / "none");
    FAIL("nothing was refused");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("cannot write " + (scratch / "none").string()) == 0);
  }
}

}  // namespace xp::vocabulary_tables_test
