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
    if (id % 4 == 1) plan.set_row(id, {{id % 40, 0.25}, {(id + 7) % 40, 0.75}}, "pieces");
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
