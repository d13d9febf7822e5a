#include "scene_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include "testing/toy_encoder.h"

namespace mean_of_pieces_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::WithinAbs;

MixPlan plan_of(const testing::ToyEncoder& source, const testing::ToyEncoder& target, const Table& settings) {
  MixPlan plan(source.size(), target.size());
  testing::registry().make<VocabInitializer>(settings)->plan(
      {.source = source, .target = target, .random = RandomStreams(1)}, plan);
  return plan;
}

TEST_CASE("mean_of_pieces weighs the pieces that spell the token, and leaves what has none") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "mean_of_pieces"}, {"weight", "length"}});
  const auto convex = convexity(plan, "pieces");
  CHECK(convex.rows > 10);
  CHECK(convex.broken == 0);
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    if (!scene.is_text(id)) continue;  // these are copied by purpose before
    const auto pieces = scene.source->pieces(scene.target->key(id));
    CHECK(row.set == !pieces.empty());
    std::string spelled;
    for (const auto piece : pieces) spelled += scene.source->key(piece).bytes;
    if (row.set) CHECK(spelled == scene.target->key(id).bytes);
  }
}

TEST_CASE("mean_of_pieces by hand: alike, or by bytes") {
  const testing::ToyEncoder source({"sun", "##flower", "##s"}), target({"sunflower", "sunflowers", "sun", "zz"});
  const auto row = [&](const char* weight, const char* token) {
    return plan_of(source, target, {{"type", "mean_of_pieces"}, {"weight", weight}})
        .rows()[static_cast<std::size_t>(target.id(token))];
  };
  const auto uniform = row("uniform", "sunflowers"), length = row("length", "sunflowers");
  REQUIRE(uniform.parts.size() == 3);
  for (const auto& part : uniform.parts) CHECK_THAT(part.weight, WithinAbs(1.0 / 3, 1e-12));
  CHECK(length.parts.at(0).source == source.id("sun"));
  CHECK_THAT(length.parts.at(0).weight, WithinAbs(3.0 / 10, 1e-12));
  CHECK_THAT(length.parts.at(1).weight, WithinAbs(6.0 / 10, 1e-12));
  CHECK_THAT(length.parts.at(2).weight, WithinAbs(1.0 / 10, 1e-12));
  REQUIRE(row("uniform", "sun").parts.size() == 1);
  CHECK(row("uniform", "sun").parts.at(0).weight == 1);
  CHECK_FALSE(row("uniform", "zz").set);  // falls through to the next rule
}

TEST_CASE("mean_of_pieces: rows stay in the hull, so no old token loses more than the bound") {
  const Scene scene;
  auto plan = scene.plan({{"type", "mean_of_pieces"}});
  for (const auto row : plan.open_rows()) plan.set_uniform_row(row, "mean");
  const auto rows = apply_plan(plan, scene.table(), "vocab.input");
  const auto bound = report(plan, {}).leak_bound;
  REQUIRE(bound);
  CHECK(worst_leak(scene.table(), rows) <= *bound + 1e-6);
  CHECK(rows.norm(2, 1).max().item<double>() <= scene.table().norm(2, 1).max().item<double>() + 1e-6);
}

}  // namespace mean_of_pieces_test
