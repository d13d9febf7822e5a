#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace combination_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

Value of(std::vector<Table> members) {
  List list;
  for (auto& member : members) list.emplace_back(std::move(member));
  return Value(std::move(list));
}

const Toy& flowers() {
  static const Toy toy({"sun", "##flower", "##s"}, {"sunflowers", "zz"});
  return toy;
}

TEST_CASE("first_of: each initializer sets what those before it left open") {
  const Table chain{{"type", "first_of"}, {"of", of({{{"type", "mean_of_pieces"}}, {{"type", "random"}}})}};
  CHECK(flowers().row(chain, "sunflowers").rule == "pieces");
  CHECK(flowers().row(chain, "zz").rule == "random");
}

TEST_CASE("interpolate mixes the weights that its members give") {
  const Table mixed{{"type", "interpolate"},
                    {"of", of({{{"type", "mean_of_pieces"}}, {{"type", "length_weighted"}}})},
                    {"weights", Value(List{Value(3.0), Value(1.0)})}};
  const auto row = flowers().row(mixed, "sunflowers");
  CHECK(row.rule == "pieces+pieces");
  CHECK_THAT(flowers().weight(row, "sun"), WithinAbs(0.75 / 3 + 0.25 * 0.3, 1e-12));
  CHECK_THAT(flowers().weight(row, "##flower"), WithinAbs(0.75 / 3 + 0.25 * 0.6, 1e-12));
  CHECK(flowers().row(mixed, "zz").note == "the initializer left the row open");
}

TEST_CASE("interpolate takes the mean of all rows for what it is") {
  const auto plan =
      flowers().plan({{"type", "interpolate"}, {"of", of({{{"type", "mean"}}, {{"type", "mean_of_pieces"}}})}});
  const auto id = flowers().target.id("sunflowers");
  const auto& row = plan.rows()[static_cast<std::size_t>(id)];
  const auto& table = flowers().weights.values[0];
  CHECK_THAT(row.uniform, WithinAbs(0.5, 1e-12));
  CHECK_THAT(flowers().weight(row, "sun"), WithinAbs(0.5 / 3, 1e-12));
  const auto made = apply_plan(plan, table, "vocab.input")[id].to(at::kDouble);
  auto expected = table.to(at::kDouble).mean(0).mul(0.5);
  for (const char* piece : {"sun", "##flower", "##s"})
    expected = expected.add(table[flowers().source.id(piece)].to(at::kDouble), 0.5 / 3);
  CHECK(made.sub(expected).abs().max().item<double>() < 1e-6);
}

TEST_CASE("combinations say what they cannot do") {
  const auto make = [](const Table& settings) { return testing::registry().make<VocabInitializer>(settings); };
  CHECK_THROWS_WITH(make({{"type", "first_of"}, {"of", of({})}}), ContainsSubstring("name them in `of`"));
  CHECK_THROWS_WITH(make({{"type", "interpolate"},
                          {"of", of({{{"type", "mean"}}})},
                          {"weights", Value(List{Value(1.0), Value(2.0)})}}),
                    ContainsSubstring("a share for each of 1 initializer"));
  CHECK_THROWS_WITH(flowers().plan({{"type", "interpolate"}, {"of", of({{{"type", "random"}}})}}),
                    ContainsSubstring("initializer `random` gives numbers"));
}

}  // namespace combination_test
