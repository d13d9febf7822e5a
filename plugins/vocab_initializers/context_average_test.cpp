#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <set>

#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "testing/toy_corpus.h"
#include "testing/toy_encoder.h"

namespace context_average_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// The output of a token is [its id, its time, the tokens of its item, the layer that was asked for].
class Telling final : public TestHandle {
 public:
  Telling(const Encoder& encoder, std::int64_t max_time) : TestHandle(encoder), max_time_(max_time) {}
  ModelShape shape() const override {
    return {.layers = 3, .width = 4, .classes = encoder_.size(), .max_time = max_time_};
  }
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    if (!want.tokens) throw Error("only tokens are known");
    const auto& ids = batch.dense("ids");
    const auto& mask = batch.dense("input.mask");
    if (max_time_ > 0 && ids.size(1) > max_time_) throw Error("a window is too long");
    ++passes, widest = std::max(widest, ids.numel());
    const auto ones = ids.new_ones(ids.sizes());
    const auto time = ones.cumsum(1).sub(1), length = ones.mul(mask.sum(1).unsqueeze(1));
    return {.tokens = ops::stack({ids, time, length, ones.mul(want.view.layers)}, 2).to(at::kFloat)};
  }
  int passes = 0;
  std::int64_t widest = 0;

 private:
  std::int64_t max_time_;
};

struct Scene {
  testing::ToyEncoder source{{"sun", "##flower", "##s", "moon", "a"}};
  testing::ToyEncoder target{{"sunflower", "moon", "a", "flowers", "sun", "##flower"}};
  Parameters weights;

  explicit Scene(std::int64_t width = 4) {
    auto table = ops::full({source.size(), width}, 0.5, at::kFloat);
    weights.info = {{"embedding.token", "vocab.input"}, {"head.token", "vocab.output"}, {"head.bias", "vocab.bias"}};
    weights.values = {table, table.mul(3), ops::full({source.size()}, 0.25, at::kFloat)};
  }
  MixPlan plan(const std::vector<std::string>& texts, Table more = {}, std::int64_t max_time = 0) {
    more["type"] = "context_average";
    MixPlan out(source.size(), target.size());
    out.set_row(target.id("moon"), {{source.id("moon"), 1}}, "copy");
    const testing::ToyCorpus corpus(texts);
    Telling model(source, max_time);
    testing::registry().make<VocabInitializer>(more)->plan({.source = source,
                                                            .target = target,
                                                            .weights = &weights,
                                                            .corpus = &corpus,
                                                            .subject = &model,
                                                            .random = RandomStreams(1)},
                                                           out);
    passes = model.passes, widest = model.widest;
    return out;
  }
  std::vector<float> row(const MixPlan& plan, std::string_view token, const char* role = "vocab.input") const {
    const auto& one = plan.rows()[static_cast<std::size_t>(target.id(token))];
    CHECK(one.rule == "context");
    return one.dense.at(role);
  }
  int passes = 0;
  std::int64_t widest = 0;
};

const Table kPlain{{"rescale", false}};

TEST_CASE("context_average: over pieces, then over contexts, by hand") {
  Scene scene;
  // [begin] a sun ##flower [end] and [begin] sun ##flower moon a moon [end]
  const auto plan = scene.plan({"a sunflower", "sunflower moon a moon"}, kPlain);
  const double sun = scene.source.id("sun"), flower = scene.source.id("##flower"), a = scene.source.id("a");
  const auto row = scene.row(plan, "sunflower");
  REQUIRE(row.size() == 4);
  CHECK(row[0] == Approx((sun + flower) / 2));
  CHECK(row[1] == Approx((2.5 + 1.5) / 2));
  CHECK(row[2] == Approx((5.0 + 7.0) / 2));
  CHECK(row[3] == 0);  // the last layer
  CHECK(scene.row(plan, "a")[0] == Approx(a));
  CHECK(scene.row(plan, "a")[1] == Approx((1.0 + 4.0) / 2));
  CHECK(scene.row(plan, "a", "vocab.bias") == std::vector<float>{0.25F});
  CHECK(plan.rows()[static_cast<std::size_t>(scene.target.id("moon"))].rule == "copy");
  CHECK(scene.row(scene.plan({"a"}, {{"rescale", false}, {"layer", 2}}), "a")[3] == 2);
}

TEST_CASE("context_average: contexts with unequal numbers of pieces count alike") {
  Scene scene;
  // "flowers" is ##flower ##s here and, where the old tokenizer knows no word, one unknown token there.
  testing::ToyEncoder other{{"flowers", "x"}};
  scene.target = other;
  MixPlan plan(scene.source.size(), other.size());
  const testing::ToyCorpus corpus({"x flowers", "flowers"});
  Telling model(scene.source, 0);
  testing::registry()
      .make<VocabInitializer>({{"type", "context_average"}, {"rescale", false}})
      ->plan({.source = scene.source,
              .target = other,
              .weights = &scene.weights,
              .corpus = &corpus,
              .subject = &model,
              .random = RandomStreams(1)},
             plan);
  const double flower = scene.source.id("##flower"), s = scene.source.id("##s");
  const auto& row = plan.rows()[static_cast<std::size_t>(other.id("flowers"))].dense.at("vocab.input");
  CHECK(row[0] == Approx((flower + s) / 2));
  CHECK(row[1] == Approx(((2.0 + 3) / 2 + (1.0 + 2) / 2) / 2));
  CHECK(plan.rows()[static_cast<std::size_t>(other.id("x"))].dense.at("vocab.input")[0] ==
        Approx(*scene.source.reserved("unk")));
}

TEST_CASE("context_average: rows get the mean norm of each table") {
  Scene scene;
  const auto plan = scene.plan({"a sunflower"});
  const auto norm = [](const std::vector<float>& row) {
    double sum = 0;
    for (const double x : row) sum += x * x;
    return std::sqrt(sum);
  };
  CHECK(norm(scene.row(plan, "sunflower")) == Approx(1.0));  // of rows of 0.5
  CHECK(norm(scene.row(plan, "sunflower", "vocab.output")) == Approx(3.0));
  const auto raw = scene.row(scene.plan({"a sunflower"}, kPlain), "sunflower");
  const auto scaled = scene.row(plan, "sunflower");
  for (int d = 0; d < 4; ++d) CHECK(scaled[d] == Approx(raw[d] / norm(raw)));
}

TEST_CASE("context_average: what has no context stays open, specials too") {
  Scene scene;
  const auto plan = scene.plan({"moon", "", "a", "  "});
  std::set<std::string> open;
  for (const auto row : plan.open_rows()) open.insert(scene.target.text(row));
  CHECK(open == std::set<std::string>{"[pad]", "[unk]", "[begin]", "[end]", "[mask]", "sunflower", "flowers", "sun",
                                      "##flower"});
  CHECK(scene.plan({"moon moon"}).open_rows().size() == 10);
  CHECK(scene.passes == 0);  // nothing that is wanted stands there
}

TEST_CASE("context_average: the first contexts only") {
  Scene scene;
  const std::vector<std::string> texts{"a", "moon a", "moon moon a a", "moon moon moon moon a"};
  const auto time = [&](std::int64_t contexts) {
    return scene.row(scene.plan(texts, {{"rescale", false}, {"contexts", contexts}}), "a")[1];
  };
  CHECK(time(1) == Approx(1));
  CHECK(time(3) == Approx((1 + 2 + 3) / 3.0));
  CHECK(time(4) == Approx((1 + 2 + 3 + 4) / 4.0));
  CHECK(time(100) == Approx((1 + 2 + 3 + 4 + 5) / 5.0));
}

TEST_CASE("context_average: long texts in windows; a place that a border cuts is no context") {
  Scene scene;
  // Windows of four tokens: moon moon a moon | moon sun ##flower a | moon moon moon sun | ##flower
  const std::string text = "moon moon a moon moon sunflower a moon moon moon sunflower";
  const auto plan = scene.plan({text}, kPlain, 6);
  CHECK(scene.row(plan, "sunflower")[1] == Approx(2.5));
  CHECK(scene.row(plan, "a")[1] == Approx((3 + 4) / 2.0));
  CHECK(scene.row(scene.plan({text}, {{"rescale", false}, {"max_time", 3}}), "a")[1] == 1);
  CHECK_THROWS_WITH(scene.plan({text}, {{"max_time", 2}}), ContainsSubstring("leaves no room for text"));
}

TEST_CASE("context_average: however many texts, passes stay small and the mean is the same") {
  Scene scene;
  std::vector<std::string> texts;
  double sum = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (int w = 0; w < i % 13; ++w) text += "moon ";
    texts.push_back(text + "a"), sum += 1 + i % 13;
  }
  const auto plan = scene.plan(texts, {{"rescale", false}, {"contexts", 100000}});
  CHECK(scene.row(plan, "a")[1] == Approx(sum / 3000));
  CHECK(scene.passes > 3);
  CHECK(scene.widest <= 8192);
}

TEST_CASE("context_average: as a control tokens get each other's rows") {
  Scene scene;
  const std::vector<std::string> tokens{"sunflower", "a", "flowers", "sun"};
  const auto of = [&](bool shuffle) {
    const auto plan = scene.plan({"sunflower a flowers sun"}, {{"rescale", false}, {"shuffle", shuffle}});
    std::vector<std::vector<float>> rows;
    for (const auto& token : tokens) rows.push_back(scene.row(plan, token));
    return rows;
  };
  auto plain = of(false), control = of(true);
  CHECK(plain != control);
  std::sort(plain.begin(), plain.end()), std::sort(control.begin(), control.end());
  CHECK(plain == control);
}

TEST_CASE("context_average says what it is missing") {
  Scene scene;
  const auto made = testing::registry().make<VocabInitializer>({{"type", "context_average"}});
  const testing::ToyCorpus corpus({"a"});
  Telling model(scene.source, 0);
  MixPlan plan(scene.source.size(), scene.target.size());
  const auto with = [&](const DataSource* text, Handle* subject) {
    made->plan({.source = scene.source,
                .target = scene.target,
                .weights = &scene.weights,
                .corpus = text,
                .subject = subject,
                .random = RandomStreams(1)},
               plan);
  };
  CHECK_THROWS_WITH(with(nullptr, &model), ContainsSubstring("give the stage a `corpus`"));
  CHECK_THROWS_WITH(with(&corpus, nullptr), ContainsSubstring("runs the old model"));
  CHECK_THROWS_WITH(scene.plan({"a"}, {{"layer", 4}}), ContainsSubstring("`layer` is 4, the model has 3 layers"));
  Scene narrow(2);
  CHECK_THROWS_WITH(narrow.plan({"a"}), ContainsSubstring("`embedding.token` has rows of 2 numbers"));
}

}  // namespace context_average_test
