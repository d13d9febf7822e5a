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

Toy sunflowers() { return Toy({"sun", "##flower", "##s"}, {"sunflowers", "sun", "zz"}); }

const Toy& flowers() {
  static const Toy toy = sunflowers();
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
    if (std::any_of(tokens.begin(), tokens.end(),
                    [&](const Token& t) { return t.id == scene.source->reserved("unk"); })) {
      CHECK_FALSE(row.set);
      continue;
    }
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

/// The same with an output table of its own.
const Toy& untied() {
  static const Toy toy = [] {
    auto out = sunflowers();
    out.weights.info.push_back({"head.output", "vocab.output"});
    out.weights.values.push_back(out.weights.values[0].mul(2));
    return out;
  }();
  return toy;
}

TEST_CASE(
    "eeve and adaptivocab: input rows from all pieces; output rows and biases, where they are apart, from the "
    "first") {
  const auto first = flowers().source.id("sun");
  for (const char* type : {"eeve", "adaptivocab"}) {
    CHECK(flowers().row({{"type", type}}, "sunflowers").role_parts.empty());  // tied: one table, one rule
    const auto row = untied().row({{"type", type}}, "sunflowers");
    for (const char* role : {"vocab.output", "vocab.bias"}) {
      REQUIRE(row.role_parts.at(role).size() == 1);
      CHECK(row.role_parts.at(role).front().source == first);
      CHECK(row.role_parts.at(role).front().weight == 1);
    }
  }
  const auto eeve = flowers().row({{"type", "eeve"}}, "sunflowers");
  for (const char* piece : {"sun", "##flower", "##s"})
    CHECK_THAT(flowers().weight(eeve, piece), WithinAbs(1.0 / 3, 1e-12));
  const auto adaptive = flowers().row({{"type", "adaptivocab"}}, "sunflowers");
  const double sum = 1 + std::exp(-2.0) + std::exp(-4.0);
  CHECK_THAT(flowers().weight(adaptive, "##s"), WithinAbs(1 / sum, 1e-12));
  CHECK_THAT(flowers().weight(adaptive, "##flower"), WithinAbs(std::exp(-2.0) / sum, 1e-12));
  CHECK_THAT(flowers().weight(adaptive, "sun"), WithinAbs(std::exp(-4.0) / sum, 1e-12));
}

TEST_CASE("tables of a role mix as that role says") {
  const auto plan = untied().plan({{"type", "eeve"}});
  const auto id = flowers().target.id("sunflowers");
  const auto& table = flowers().weights.values[0];
  const auto input = apply_plan(plan, table, "vocab.input"), output = apply_plan(plan, table, "vocab.output");
  CHECK(output[id].equal(table[flowers().source.id("sun")]));
  CHECK(input[id].sub(output[id]).abs().max().item<double>() > 1e-3);
  const auto state = plan_state(plan);
  CHECK(state.ints("row_start.vocab.output").data.size() == state.ints("row_start").data.size());
  CHECK(state.ints("source.vocab.output").data.size() < state.ints("source").data.size());
}

TEST_CASE("length_weighted counts characters, or bytes where it is told to") {
  const Toy toy({"\u00e9t", "##e"}, {"\u00e9te"});
  CHECK_THAT(toy.weight(toy.row({{"type", "length_weighted"}}, "\u00e9te"), "##e"), WithinAbs(1.0 / 3, 1e-12));
  const auto bytes = toy.row({{"type", "length_weighted"}, {"unit", "bytes"}}, "\u00e9te");
  CHECK_THAT(toy.weight(bytes, "##e"), WithinAbs(1.0 / 4, 1e-12));
}

TEST_CASE("input rows get the norm that is asked for, and output rows keep theirs") {
  Toy toy({"sun", "##flower", "\u0441\u043e\u043d", "##\u0446\u0435", "\u0434\u0430"},
          {"sunflower", "\u0441\u043e\u043d\u0446\u0435"});
  auto& table = toy.weights.values[0];
  for (const char* token : {"\u0441\u043e\u043d", "##\u0446\u0435", "\u0434\u0430"}) {
    auto row = table[toy.source.id(token)];
    row.mul_(3.0 / row.norm().item<double>());
  }
  table[toy.source.id("\u0434\u0430")].mul_(2);  // Cyrillic norms: 3, 3 and 6
  const auto norms = table.to(at::kDouble).norm(2, 1);
  const auto made = [&](const char* norm, const char* token, const char* role) {
    const auto plan = toy.plan({{"type", "mean_of_pieces"}, {"norm", norm}});
    return apply_plan(plan, table, role)[toy.target.id(token)].to(at::kDouble);
  };
  const auto length = [&](const char* norm, const char* token) {
    return made(norm, token, "vocab.input").norm().item<double>();
  };
  CHECK_THAT(length("mean", "sunflower"), WithinAbs(norms.mean().item<double>(), 1e-5));
  const auto sorted = std::get<0>(norms.sort());
  CHECK_THAT(length("median", "sunflower"),
             WithinAbs((sorted[4].item<double>() + sorted[5].item<double>()) / 2, 1e-5));  // of ten
  CHECK_THAT(length("script_median", "\u0441\u043e\u043d\u0446\u0435"), WithinAbs(3, 1e-5));
  const auto plain = made("none", "sunflower", "vocab.input");
  CHECK(made("mean", "sunflower", "vocab.output").equal(plain));
  const auto scaled = made("mean", "sunflower", "vocab.input");
  CHECK_THAT(scaled.dot(plain).item<double>() / (scaled.norm().item<double>() * plain.norm().item<double>()),
             WithinAbs(1, 1e-6));
  CHECK_FALSE(
      report(toy.plan({{"type", "mean_of_pieces"}, {"norm", "mean"}}), {kCopyRule}, "vocab.input").leak_bound);
}

TEST_CASE("an initializer's own match goes before what the recipe copies") {
  const Toy toy({"Sun", "sun", "##flower"}, {"SUN", "sun"});
  CHECK(toy.row({{"type", "mean_of_pieces"}}, "sun").rule == "copy");
  CHECK(toy.row({{"type", "mean_of_pieces"}, {"match", "specials"}}, "sun").rule == "pieces");
  CHECK(toy.row({{"type", "mean_of_pieces"}, {"match", "exact+casefold"}}, "SUN").note == "casefold");
  CHECK(toy.row({{"type", "mean_of_pieces"}, {"match", "exact"}}, "SUN").rule != "copy");
}

TEST_CASE("compositions leave tokens without pieces to the next rule, or to their fallback") {
  for (const char* type : {"fvt", "length_weighted", "eeve", "adaptivocab"}) {
    CHECK(flowers().row({{"type", type}}, "zz").note == "the initializer left the row open");
    const auto drawn = flowers().row({{"type", type}, {"fallback", "random"}}, "zz");
    CHECK(drawn.rule == "random");
    CHECK_THAT(drawn.note, ContainsSubstring("no pieces"));
    CHECK(flowers().row({{"type", type}, {"fallback", "unk"}}, "zz").parts.at(0).source ==
          flowers().source.reserved("unk"));
  }
}

}  // namespace composition_test
