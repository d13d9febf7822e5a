#include "scene_fixture.h"
#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

namespace composition_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

const Toy& flowers() {
  static const Toy toy({"sun", "##flower", "##s"}, {"sunflowers", "sun", "zz"});
  return toy;
}

TEST_CASE("length_weighted weighs pieces by their bytes") {
  const auto row = flowers().row({{"type", "length_weighted"}}, "sunflowers");
  CHECK_THAT(flowers().weight(row, "sun"), WithinAbs(0.3, 1e-12));
  CHECK_THAT(flowers().weight(row, "##flower"), WithinAbs(0.6, 1e-12));
  CHECK_THAT(flowers().weight(row, "##s"), WithinAbs(0.1, 1e-12));
}

TEST_CASE("fvt averages what the whole old tokenizer makes of the text, whatever the token says of word starts") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "fvt"}});
  std::size_t other = 0;
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto key = scene.target->key(id);
    if (key.kind != TokenKind::text) continue;
    const auto tokens = scene.source->encode(key.bytes);
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    REQUIRE(row.parts.size() == tokens.size());
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      CHECK(row.parts[i].source == tokens[i].id);
      CHECK_THAT(row.parts[i].weight, WithinAbs(1.0 / static_cast<double>(tokens.size()), 1e-12));
      ids.push_back(tokens[i].id);
    }
    other += scene.source->pieces(key) != ids;
  }
  CHECK(other > 0);
  CHECK(flowers().row({{"type", "fvt"}}, "sun").rule == "copy");
}

TEST_CASE("eeve and adaptivocab: input rows from all pieces, output rows and biases from the first") {
  const auto first = flowers().source.id("sun");
  for (const char* type : {"eeve", "adaptivocab"}) {
    const auto row = flowers().row({{"type", type}}, "sunflowers");
    for (const char* role : {"vocab.output", "vocab.bias"}) {
      REQUIRE(row.role_parts.at(role).size() == 1);
      CHECK(row.role_parts.at(role).front().source == first);
      CHECK(row.role_parts.at(role).front().weight == 1);
    }
  }
  const auto eeve = flowers().row({{"type", "eeve"}}, "sunflowers");
  for (const char* piece : {"sun", "##flower", "##s"}) CHECK_THAT(flowers().weight(eeve, piece), WithinAbs(1.0 / 3, 1e-12));
  const auto adaptive = flowers().row({{"type", "adaptivocab"}}, "sunflowers");
  const double sum = 1 + std::exp(-2.0) + std::exp(-4.0);
  CHECK_THAT(flowers().weight(adaptive, "##s"), WithinAbs(1 / sum, 1e-12));
  CHECK_THAT(flowers().weight(adaptive, "##flower"), WithinAbs(std::exp(-2.0) / sum, 1e-12));
  CHECK_THAT(flowers().weight(adaptive, "sun"), WithinAbs(std::exp(-4.0) / sum, 1e-12));
}

TEST_CASE("tables of a role mix as that role says") {
  const auto plan = flowers().plan({{"type", "eeve"}});
  const auto id = flowers().target.id("sunflowers");
  const auto& table = flowers().weights.values[0];
  const auto input = apply_plan(plan, table, "vocab.input"), output = apply_plan(plan, table, "vocab.output");
  CHECK(output[id].equal(table[flowers().source.id("sun")]));
  CHECK(input[id].sub(output[id]).abs().max().item<double>() > 1e-3);
  const auto state = plan_state(plan);
  CHECK(state.ints("row_start.vocab.output").data.size() == state.ints("row_start").data.size());
  CHECK(state.ints("source.vocab.output").data.size() < state.ints("source").data.size());
}

TEST_CASE("compositions leave tokens without pieces to the next rule, or to their fallback") {
  for (const char* type : {"fvt", "length_weighted", "eeve", "adaptivocab"}) {
    CHECK(flowers().row({{"type", type}}, "zz").note == "the initializer left the row open");
    const auto drawn = flowers().row({{"type", type}, {"fallback", "random"}}, "zz");
    CHECK(drawn.rule == "random");
    CHECK_THAT(drawn.note, ContainsSubstring("no pieces"));
    CHECK(flowers().row({{"type", type}, {"fallback", "unk"}}, "zz").parts.at(0).source == flowers().source.reserved("unk"));
  }
}

}  // namespace composition_test
