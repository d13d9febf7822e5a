#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "kit/mixing.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "testing/testing.h"
#include "testing/tokenizer_checks.h"

using namespace xp;
using Catch::Matchers::WithinAbs;

namespace {

/// Two tokenizers over like texts, a table of the first, and word vectors in two tight groups.
struct Scene {
  std::unique_ptr<const Encoder> source, target;
  Parameters weights;
  State vectors;

  Scene() {
    const std::vector<std::string> texts{"ship wave sail harbour ship wave", "cow field plough barn cow field", "sail barn ship cow wave field"};
    source = testing::fit(*testing::make_tokenizer("wordpiece", {{"vocab_size", 60}, {"min_count", 1}}), texts);
    target = testing::fit(*testing::make_tokenizer("unigram", {{"vocab_size", 70}}), texts);
    auto table = at::empty({source->size(), 6}, at::kFloat);
    RandomStream stream(9);
    for (std::int64_t i = 0; i < table.numel(); ++i) table.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform() + 1);
    weights.info = {{"embedding.token", "vocab.input"}, {"head.bias", "vocab.bias"}};
    weights.values = {table, table.select(1, 0).clone()};
    const Strings words{"ship", "wave", "sail", "harbour", "cow", "field", "plough", "barn"};
    Floats numbers{{}, {8, 2}};
    for (int w = 0; w < 8; ++w) {
      const double angle = (w < 4 ? 0.0 : 1.5) + 0.02 * w;
      numbers.data.push_back(static_cast<float>(std::cos(angle))), numbers.data.push_back(static_cast<float>(std::sin(angle)));
    }
    vectors.set("words", words), vectors.set("vectors", std::move(numbers));
  }

  VocabSetting setting() const {
    return {.source = *source, .target = *target, .weights = &weights, .vectors = &vectors, .corpus = nullptr, .subject = nullptr, .random = RandomStreams(4)};
  }
  MixPlan plan(const Table& initializer) const {
    MixPlan plan(source->size(), target->size());
    testing::registry().make<VocabInitializer>(initializer)->plan(setting(), plan);
    return plan;
  }
};

void check_convex(const MixPlan& plan, const std::string& rule) {
  std::size_t seen = 0;
  for (const auto& row : plan.rows()) {
    if (row.rule != rule) continue;
    ++seen;
    double sum = 0;
    for (const auto& part : row.parts) {
      CHECK(part.weight >= 0);
      sum += part.weight;
    }
    CHECK_THAT(sum, WithinAbs(1.0, 1e-6));
  }
  CHECK(seen > 0);
}

}  // namespace

TEST_CASE("random rows follow the old rows' mean and spread and do not depend on other rows") {
  const Scene scene;
  const auto all = scene.plan({{"type", "random"}});
  MixPlan some(scene.source->size(), scene.target->size());
  for (const auto row : some.open_rows())
    if (row % 2 == 0) some.set_uniform_row(row, "taken");
  testing::registry().make<VocabInitializer>({{"type", "random"}})->plan(scene.setting(), some);
  CHECK(all.rows()[3].dense.at("vocab.input") == some.rows()[3].dense.at("vocab.input"));
  double mean = 0, n = 0;
  for (const auto& row : all.rows())
    for (const float x : row.dense.at("vocab.input")) mean += x, ++n;
  CHECK_THAT(mean / n, WithinAbs(1.5, 0.1));
}

TEST_CASE("gaussian with scale 0 is the mean, with scale 1 it has the old covariance's size") {
  const Scene scene;
  const auto flat = scene.plan({{"type", "gaussian"}, {"scale", 0.0}}), wide = scene.plan({{"type", "gaussian"}, {"scale", 1.0}});
  const auto mean = scene.weights.values[0].mean(0), sd = scene.weights.values[0].std(0, false);
  double square = 0, n = 0;
  for (const auto& row : flat.rows()) CHECK_THAT(row.dense.at("vocab.input")[2], WithinAbs(mean[2].item<double>(), 1e-5));
  for (const auto& row : wide.rows()) square += std::pow(row.dense.at("vocab.input")[2] - mean[2].item<double>(), 2), ++n;
  CHECK_THAT(std::sqrt(square / n), WithinAbs(sd[2].item<double>(), 0.35 * sd[2].item<double>()));
}

TEST_CASE("mean gives every row the mean") {
  const Scene scene;
  const auto made = apply_plan(scene.plan({{"type", "mean"}}), scene.weights.values[0], "vocab.input");
  CHECK(made.sub(scene.weights.values[0].mean(0, true)).abs().max().item<double>() < 1e-5);
}

TEST_CASE("mean_of_pieces weighs the pieces that spell the token, and leaves what has none") {
  const Scene scene;
  const auto plan = scene.plan({{"type", "mean_of_pieces"}, {"weight", "length"}});
  check_convex(plan, "pieces");
  for (TokenId id = 0; id < scene.target->size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    if (scene.target->key(id).kind == TokenKind::special) continue;  // these are copied by purpose before
    const auto pieces = scene.source->pieces(scene.target->key(id));
    CHECK(row.set == !pieces.empty());
    std::string spelled;
    for (const auto piece : pieces) spelled += scene.source->key(piece).bytes;
    if (row.set) CHECK(spelled == scene.target->key(id).bytes);
  }
}

TEST_CASE("OFA mixes near tokens, and the shuffled control does not") {
  const Scene scene;
  const auto near_share = [&](const MixPlan& plan) {
    const std::string sea = "ship wave sail harbour", farm = "cow field plough barn";
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
  };
  const auto plan = scene.plan({{"type", "ofa"}, {"neighbours", 4}});
  check_convex(plan, "similarity");
  const double real = near_share(plan), shuffled = near_share(scene.plan({{"type", "ofa"}, {"neighbours", 4}, {"shuffle_vectors", true}}));
  CHECK(real > 0.9);
  CHECK(real > shuffled);
}

TEST_CASE("softmax of cosines by hand") {
  const auto parts = softmax_parts({{0, 0.9}, {1, 0.8}}, 0.1);
  CHECK_THAT(parts[0].weight, WithinAbs(1 / (1 + std::exp(-1.0)), 1e-12));
}

TEST_CASE("OFA's factors multiply back to the best table of that rank") {
  const Scene scene;
  const auto& table = scene.weights.values[0];
  for (const char* scale : {"primitives", "even"}) {
    const auto whole = testing::registry().make<VocabInitializer>({{"type", "ofa"}, {"rank", 6}, {"scale", scale}})->factorise(scene.setting());
    REQUIRE(whole);
    const auto back = at::matmul(tensor_of(whole->coordinates, {table.size(0), 6}), tensor_of(whole->primitives, {6, 6}));
    CHECK(back.sub(table).abs().max().item<double>() < 1e-4);
  }
  const auto low = testing::registry().make<VocabInitializer>({{"type", "ofa"}, {"rank", 2}})->factorise(scene.setting());
  const auto error = at::matmul(tensor_of(low->coordinates, {table.size(0), 2}), tensor_of(low->primitives, {2, 6})).sub(table);
  const auto values = std::get<1>(at::linalg_svd(table, false));
  CHECK_THAT(error.norm().item<double>(), WithinAbs(values.narrow(0, 2, 4).norm().item<double>(), 1e-3));  // Eckart and Young 1936
  CHECK_THROWS_WITH(testing::registry().make<VocabInitializer>({{"type", "ofa"}, {"rank", 7}})->factorise(scene.setting()),
                    Catch::Matchers::ContainsSubstring("rank 7"));
}

TEST_CASE("CW2V stays in the hull and reconstructs better than its start") {
  const Scene scene;
  const auto loss = [&](const MixPlan& plan) {
    const auto order = vector_order(8, false, RandomStream(0));
    const auto from = subword_vectors(*scene.source, scene.vectors.strings("words"), scene.vectors.floats("vectors"), order);
    const auto to = subword_vectors(*scene.target, scene.vectors.strings("words"), scene.vectors.floats("vectors"), order);
    double sum = 0;
    for (std::size_t i = 0; i < plan.rows().size(); ++i) {
      if (plan.rows()[i].rule != "convex") continue;
      auto made = to.vectors[static_cast<std::int64_t>(i)].mul(-1);
      for (const auto& part : plan.rows()[i].parts) made = made.add(from.vectors[part.source], part.weight);
      sum += made.square().sum().item<double>();
    }
    return sum;
  };
  const auto learnt = scene.plan({{"type", "cw2v"}, {"neighbours", 6}, {"steps", 200}}), start = scene.plan({{"type", "cw2v"}, {"neighbours", 6}, {"steps", 1}, {"lr", 1e-6}});
  check_convex(learnt, "convex");
  CHECK(loss(learnt) < loss(start));
  CHECK_THROWS_WITH(scene.plan({{"type", "cw2v"}, {"sparsity", "dense"}}), Catch::Matchers::ContainsSubstring("corpus"));
}
