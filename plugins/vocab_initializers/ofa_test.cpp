#include "scene_fixture.h"

#include <ATen/ops/linalg_svd.h>

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>

#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "kit/weighting.h"

namespace ofa_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

/// Share of the weight that tokens of one topic get from pieces of the same.
double near_share(const Scene& scene, const MixPlan& plan) {
  const std::string sea = "ship wave sail harbour";
  double same = 0, all = 0;
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    const auto word = scene.target->key(id).bytes;
    if (row.rule != "similarity" || word.size() < 3) continue;
    for (const auto& part : row.parts) {
      const auto piece = scene.source->key(part.source).bytes;
      if (piece.size() < 3) continue;
      const bool a = sea.find(word) != std::string::npos, b = sea.find(piece) != std::string::npos;
      same += part.weight * (a == b ? 1 : 0), all += part.weight;
    }
  }
  return all > 0 ? same / all : 0.0;
}

std::optional<Factorisation> factors(const Scene& scene, std::int64_t rank, const char* scale = "primitives") {
  return testing::registry()
      .make<VocabInitializer>({{"type", "ofa"}, {"rank", rank}, {"scale", scale}})
      ->factorise(scene.setting());
}

TEST_CASE("OFA mixes near tokens, and the shuffled control does not") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "ofa"}, {"neighbours", 4}});
  const auto convex = convexity(plan, "similarity");
  CHECK(convex.rows > 10);
  CHECK(convex.broken == 0);
  const double real = near_share(scene, plan);
  CHECK(real > 0.9);
  CHECK(real > near_share(scene, scene.plan({{"type", "ofa"}, {"neighbours", 4}, {"shuffle_vectors", true}})));
}

TEST_CASE("softmax of cosines by hand") {
  const auto parts = weigh({{0, 0.9}, {1, 0.8}}, Weighting::softmax, 0.1);
  CHECK_THAT(parts[0].weight, WithinAbs(1 / (1 + std::exp(-1.0)), 1e-12));
}

TEST_CASE("OFA takes as many neighbours as asked for, the nearest, by softmax of cosine over temperature") {
  const Scene scene;
  const auto order = vector_order(8, false, RandomStream(0));
  const auto& words = scene.vectors.strings("words");
  const auto from = subword_vectors(*scene.source, words, scene.vectors.floats("vectors"), order),
             to = subword_vectors(*scene.target, words, scene.vectors.floats("vectors"), order);
  const auto plan = scene.plan({{"type", "ofa"}, {"neighbours", 3}, {"temperature", 0.2}});
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    if (row.rule != "similarity") continue;
    std::vector<double> cosines;  // by brute force
    for (TokenId s = 0; s < scene.source->size(); ++s)
      cosines.push_back(
          from.covered[static_cast<std::size_t>(s)] ? from.vectors[s].mul(to.vectors[id]).sum().item<double>() : -2);
    auto best = cosines;
    std::sort(best.begin(), best.end(), std::greater<>());
    REQUIRE(row.parts.size() == 3);
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += std::exp(best[static_cast<std::size_t>(k)] / 0.2);
    for (const auto& part : row.parts) {
      const double cosine = cosines[static_cast<std::size_t>(part.source)];
      CHECK(cosine >= best[2] - 1e-6);
      CHECK_THAT(part.weight, WithinAbs(std::exp(cosine / 0.2) / sum, 1e-5));
    }
  }
}

TEST_CASE("OFA says why a row falls back, and how") {
  const Scene scene;
  const auto random = scene.plan({{"type", "ofa"}}), pieces = scene.plan({{"type", "ofa"}, {"fallback", "pieces"}}),
             mean = scene.plan({{"type", "ofa"}, {"fallback", "mean"}});
  std::size_t bare = 0, spelled = 0;
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    if (random.rows()[i].rule == "similarity") {
      CHECK(pieces.rows()[i].rule == "similarity");
      continue;
    }
    ++bare;
    const auto own = scene.source->pieces(scene.target->key(id));
    spelled += !own.empty();
    CHECK(random.rows()[i].rule == "random");
    CHECK(mean.rows()[i].rule == "mean");
    CHECK(pieces.rows()[i].rule == (own.empty() ? "random" : "pieces"));
    for (const auto* plan : {&random, &pieces, &mean})
      CHECK(plan->rows()[i].note == "no word vector covers the token");
  }
  CHECK(bare > 4);  // at least the reserved ones
  CHECK(bare > spelled);
}

TEST_CASE("OFA's factors multiply back to the best table of that rank") {
  const Scene scene;
  const auto& table = scene.table();
  for (const char* scale : {"primitives", "even"}) {
    const auto whole = factors(scene, 6, scale);
    REQUIRE(whole);
    const auto left = tensor_of(whole->coordinates, {table.size(0), 6}), right = tensor_of(whole->primitives, {6, 6});
    CHECK(left.matmul(right).sub(table).abs().max().item<double>() < 1e-4);
    // Columns of the coordinates are orthogonal; of length 1 where the primitives carry all singular values.
    const auto gram = left.t().matmul(left);
    const auto values = std::get<1>(at::linalg_svd(table, false));
    for (std::int64_t k = 0; k < 6; ++k) {
      const double expected = std::string(scale) == "even" ? values[k].item<double>() : 1;
      CHECK_THAT(gram[k][k].item<double>(), WithinAbs(expected, 1e-3 * std::max(expected, 1.0)));
      if (k > 0) CHECK_THAT(gram[0][k].item<double>(), WithinAbs(0, 1e-3));
    }
  }
  const auto low = factors(scene, 2);
  const auto error =
      tensor_of(low->coordinates, {table.size(0), 2}).matmul(tensor_of(low->primitives, {2, 6})).sub(table);
  const auto values = std::get<1>(at::linalg_svd(table, false));
  CHECK_THAT(error.norm().item<double>(),
             WithinAbs(values.narrow(0, 2, 4).norm().item<double>(), 1e-3));  // Eckart and Young 1936
  CHECK_FALSE(factors(scene, 0));
}

TEST_CASE("OFA draws uncovered rows like the coordinates where the table is factorised") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "ofa"}, {"rank", 2}});
  std::size_t seen = 0;
  for (const auto& row : plan.rows()) {
    if (row.rule != "random") continue;
    ++seen;
    CHECK(row.dense.at("vocab.input").size() == 2);
    for (const float x : row.dense.at("vocab.input"))
      CHECK(std::abs(x) < 1);  // coordinates are rows of an orthonormal matrix
  }
  CHECK(seen > 4);
}

TEST_CASE("OFA says what it cannot do") {
  Scene scene;
  CHECK_THROWS_WITH(factors(scene, 7), ContainsSubstring("rank 7 is above the table's 6"));
  scene.weights.info.push_back({"head.output", "vocab.output"}),
      scene.weights.values.push_back(scene.table().clone());
  CHECK_THROWS_WITH(factors(scene, 2), ContainsSubstring("needs tied tables; use rank = 0"));
  auto setting = scene.setting();
  setting.vectors = nullptr;
  MixPlan plan(scene.source->size(), scene.target->size());
  const auto ofa = testing::registry().make<VocabInitializer>({{"type", "ofa"}});
  CHECK_THROWS_WITH(ofa->plan(setting, plan), ContainsSubstring("give the stage `vectors`"));
  CHECK(ofa->wants_vectors());
}

}  // namespace ofa_test
