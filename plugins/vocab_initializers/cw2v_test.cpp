#include <c10/core/GradMode.h>

#include "scene_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kit/subword_vectors.h"

namespace cw2v_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;

/// How far the target tokens' word vectors lie from the mixtures of the plan.
double distance(const Scene& scene, const MixPlan& plan) {
  const auto order = vector_order(8, false, RandomStream(0));
  const auto& words = scene.vectors.strings("words");
  const auto& numbers = scene.vectors.floats("vectors");
  const auto from = subword_vectors(*scene.source, words, numbers, order),
             to = subword_vectors(*scene.target, words, numbers, order);
  double sum = 0;
  for (std::size_t i = 0; i < plan.rows().size(); ++i) {
    if (plan.rows()[i].rule != "convex") continue;
    auto made = to.vectors[static_cast<std::int64_t>(i)].mul(-1);
    for (const auto& part : plan.rows()[i].parts) made = made.add(from.vectors[part.source], part.weight);
    sum += made.square().sum().item<double>();
  }
  return sum;
}

/// Skip-gram loss of neighbouring tokens of the corpus under the rows: -log sigmoid of their product, on average.
double neighbour_loss(const Scene& scene, const DataSource& corpus, const at::Tensor& rows) {
  double sum = 0, n = 0;
  corpus.for_each([&](const Document& document) {
    const auto tokens = scene.target->encode(document.text);
    for (std::size_t i = 1; i < tokens.size(); ++i)
      sum += std::log1p(std::exp(-rows[tokens[i].id].mul(rows[tokens[i - 1].id]).sum().item<double>())), ++n;
  });
  return sum / n;
}

MixPlan from_text(const Scene& scene, const DataSource& corpus, Table settings, std::uint64_t seed = 4) {
  settings.insert_or_assign("type", "cw2v");
  MixPlan plan(scene.source->size(), scene.target->size());
  testing::registry().make<VocabInitializer>(settings)->plan(scene.setting(&corpus, seed), plan);
  for (const auto row : plan.open_rows()) plan.set_uniform_row(row, "mean");
  return plan;
}

TEST_CASE("CW2V stays in the hull and reconstructs better than its start") {
  const Scene scene;
  const auto learnt = scene.plan({{"type", "cw2v"}, {"neighbours", 6}, {"steps", 200}}),
             start = scene.plan({{"type", "cw2v"}, {"neighbours", 6}, {"steps", 1}, {"lr", 1e-6}});
  const auto convex = convexity(learnt, "convex");
  CHECK(convex.rows > 10);
  CHECK(convex.broken == 0);
  CHECK(distance(scene, learnt) < 0.9 * distance(scene, start));
  for (const auto& row : learnt.rows())
    if (row.rule == "convex") CHECK(row.parts.size() <= 6);
}

TEST_CASE("CW2V starts at OFA's softmax and keeps rows that are set") {
  const Scene scene;
  const Table barely{{"type", "cw2v"}, {"neighbours", 4}, {"steps", 1}, {"lr", 1e-9}, {"temperature", 0.1}};
  const auto start = scene.plan(barely), ofa = scene.plan({{"type", "ofa"}, {"neighbours", 4}, {"temperature", 0.1}});
  std::size_t compared = 0;
  for (std::size_t i = 0; i < start.rows().size(); ++i) {
    const auto &a = start.rows()[i], &b = ofa.rows()[i];
    if (a.rule != "convex") continue;
    ++compared;
    for (const auto& part : a.parts)
      for (const auto& other : b.parts)
        if (part.source == other.source) CHECK(std::abs(part.weight - other.weight) < 1e-3);
  }
  CHECK(compared > 10);
  MixPlan kept(scene.source->size(), scene.target->size());
  kept.set_row(9, {{3, 1}}, "copy");
  scene.fill(barely, kept);
  CHECK(kept.rows()[9].rule == "copy");
}

TEST_CASE("CW2V learns from text: neighbours come nearer, rows stay in the hull of the old ones") {
  Scene centred;
  centred.weights.values[0].sub_(1.5);  // products of both signs
  const testing::TextSource corpus(
      std::vector<std::string>(20, "ship wave ship wave sail harbour cow field plough barn"));
  for (const char* sparsity : {"dense", "k_nearest"}) {
    const auto make = [&](int steps, double lr) {
      return from_text(centred, corpus,
                       {{"sparsity", sparsity},
                        {"rank", 8},
                        {"steps", steps},
                        {"lr", lr},
                        {"batch", 64},
                        {"window", 1},
                        {"negatives", 1}});
    };
    const auto learnt = make(150, 0.1), start = make(1, 1e-9);
    CHECK(convexity(learnt, "convex").rows > 10);
    CHECK(convexity(learnt, "convex").broken == 0);
    const auto rows = apply_plan(learnt, centred.table(), "vocab.input"),
               before = apply_plan(start, centred.table(), "vocab.input");
    CHECK(neighbour_loss(centred, corpus, rows) < neighbour_loss(centred, corpus, before));
    const auto bound = report(learnt, {}).leak_bound;
    REQUIRE(bound);
    CHECK(worst_leak(centred.table(), rows) <= *bound + 1e-4);
    CHECK(rows.norm(2, 1).max().item<double>() <= centred.table().norm(2, 1).max().item<double>() + 1e-5);
  }
}

TEST_CASE("CW2V is the same for the same seed") {
  const Scene scene;
  const testing::TextSource corpus({"ship wave sail harbour ship wave", "cow field plough barn"});
  const Table few{{"sparsity", "dense"}, {"rank", 4}, {"steps", 3}, {"batch", 16}};
  const auto rows = [&](std::uint64_t seed) {
    return apply_plan(from_text(scene, corpus, few, seed), scene.table(), "vocab.input");
  };
  CHECK(rows(4).equal(rows(4)));
  CHECK_FALSE(rows(4).equal(rows(5)));
}

TEST_CASE("CW2V learns where grad mode is off, and leaves it off") {
  const Scene scene;
  const Table settings{{"type", "cw2v"}, {"neighbours", 4}, {"steps", 50}};
  const auto on = scene.plan(settings);
  const at::NoGradGuard quiet;
  const auto off = scene.plan(settings);
  CHECK_FALSE(at::GradMode::is_enabled());
  CHECK(distance(scene, off) == distance(scene, on));
  CHECK(distance(scene, off) < distance(scene, scene.plan({{"type", "cw2v"}, {"neighbours", 4}, {"steps", 1}})));
}

TEST_CASE("CW2V says what it is missing") {
  const Scene scene;
  CHECK_THROWS_WITH(scene.plan({{"type", "cw2v"}, {"sparsity", "dense"}}),
                    ContainsSubstring("learns from text: give the stage a `corpus`"));
  const testing::TextSource short_ones({"ship", "cow"});
  const auto text = [&] { from_text(scene, short_ones, {{"sparsity", "dense"}, {"steps", 1}}); };
  CHECK_THROWS_WITH(text(), ContainsSubstring("no text of two tokens"));
  auto setting = scene.setting();
  setting.vectors = nullptr;
  MixPlan plan(scene.source->size(), scene.target->size());
  const auto bare = testing::registry().make<VocabInitializer>({{"type", "cw2v"}});
  CHECK_THROWS_WITH(bare->plan(setting, plan), ContainsSubstring("give the stage `vectors`"));
}

}  // namespace cw2v_test
