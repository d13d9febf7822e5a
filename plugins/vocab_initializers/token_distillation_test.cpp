#include <c10/core/GradMode.h>

#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>

#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "kit/tensors.h"
#include "testing/torch_toy_build.h"
#include "testing/toy_corpus.h"
#include "testing/toy_encoder.h"

namespace token_distillation_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// A small transformer that is run as the engine runs one.
class SmallModel final : public TestHandle {
 public:
  SmallModel(const Encoder& encoder, Table settings) : TestHandle(encoder), build_(encoder.size(), at::kFloat) {
    // Without positions, so that a text with fewer tokens can say the same.
    settings.merge(Table{{"type", "transformer"},
                         {"layers", 2},
                         {"width", 16},
                         {"heads", 2},
                         {"max_time", 40},
                         {"positions", "none"}});
    model_ = testing::registry().make<Model>(settings);
    model_->build(build_);
  }
  const Parameters& weights() const { return build_.own; }
  ModelShape shape() const override { return model_->shape(); }
  bool has(std::string_view what) const override { return what != "vectors" || reads_vectors; }
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    ++passes;
    return model_->forward(weights().values, {.ids = batch.dense("ids"), .mask = batch.dense("input.mask")}, want);
  }
  ForwardOutput encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) override {
    const auto& ids = batch.dense("ids");
    const auto known = shape().input_vocab;
    auto table = ops::cat({weights().values[weights().find("embedding.token")], more});
    auto all = weights().values;
    all[weights().find("embedding.token")] = table;
    last_ids = ids, last_known = known;
    return model_->forward(all, {.vectors = model_->embed(all, ids), .mask = batch.dense("input.mask")}, want);
  }
  bool reads_vectors = true;
  int passes = 0;
  at::Tensor last_ids;
  std::int64_t last_known = 0;

 private:
  testing::ToyBuild build_;
  std::unique_ptr<Model> model_;
};

struct Scene {
  testing::ToyEncoder source{{"sun", "##flower", "##s", "moon", "a", "star"}};
  testing::ToyEncoder target{{"sunflower", "moons", "a", "star", "zz", "sunflowers"}};
  SmallModel model;
  std::vector<std::string> texts{"a sunflower a moon", "moon a sunflower star", "star sunflower a a moon",
                                 "a moons star sunflower", "sunflower moon star"};

  explicit Scene(Table settings = {{"kind", "encoder"}}) : model(source, std::move(settings)) {}

  MixPlan plan(Table settings, const std::vector<std::string>& of) {
    settings["type"] = "token_distillation";
    MixPlan out(source.size(), target.size());
    out.set_row(target.id("a"), {{source.id("a"), 1}}, "copy");
    const testing::ToyCorpus corpus(of);
    testing::registry().make<VocabInitializer>(settings)->plan({.source = source,
                                                                .target = target,
                                                                .weights = &model.weights(),
                                                                .corpus = &corpus,
                                                                .subject = &model,
                                                                .random = RandomStreams(1)},
                                                               out);
    return out;
  }
  MixPlan plan(Table settings) { return plan(std::move(settings), texts); }

  const at::Tensor& table() const { return model.weights().values[model.weights().find("embedding.token")]; }
  at::Tensor start(const std::vector<std::string>& pieces) const {
    auto sum = table()[source.id(pieces.front())];
    for (std::size_t i = 1; i < pieces.size(); ++i) sum = sum.add(table()[source.id(pieces[i])]);
    return sum.div(static_cast<double>(pieces.size()));
  }
  at::Tensor row(const MixPlan& plan, const std::string& token, const char* role = "vocab.input") const {
    const auto& one = plan.rows()[static_cast<std::size_t>(target.id(token))];
    REQUIRE(one.rule == "distilled");
    return tensor_of(one.dense.at(role));
  }
  /// Mean squared difference of the last states of `old` and, at the places `ends` of `old`, of `merged`, in which
  /// the id behind the old ones is `row`.
  double difference(const std::vector<std::string>& old, std::vector<std::int64_t> ends, const at::Tensor& row,
                    std::vector<std::int64_t> merged) {
    std::vector<std::int64_t> ids;
    for (const auto& token : old) ids.push_back(source.id(token));
    const auto batch = [](const std::vector<std::int64_t>& all) {
      Batch out;
      out.sample_id = tensor_of(std::vector<std::int64_t>{0});
      out.set("ids", tensor_of(all, {1, std::ssize(all)}));
      out.set("input.mask", ops::ones({1, std::ssize(all)}, at::kBool));
      return out;
    };
    const auto wanted = model.encode(batch(ids), {.tokens = true}).tokens[0].index_select(0, tensor_of(ends));
    return model.encode_with(batch(merged), {.tokens = true}, row.unsqueeze(0))
        .tokens[0]
        .sub(wanted)
        .square()
        .mean()
        .item<double>();
  }
  /// Of "[begin] a sunflower moon [end]".
  double difference(const at::Tensor& row) {
    const std::vector<std::int64_t> merged{source.id("[begin]"), source.id("a"), source.size(), source.id("moon"),
                                           source.id("[end]")};
    return difference({"[begin]", "a", "sun", "##flower", "moon", "[end]"}, {0, 1, 3, 4, 5}, row, merged);
  }
};

TEST_CASE("token_distillation: states come near those over the pieces, in models that read both ways and one") {
  for (const char* kind : {"encoder", "decoder"}) DYNAMIC_SECTION(kind) {
      Scene scene(Table{{"kind", kind}});
      const auto before = scene.difference(scene.start({"sun", "##flower"}));
      const auto plan = scene.plan({{"epochs", 150}, {"lr", 0.01}, {"batch", 4}});
      CHECK(scene.difference(scene.row(plan, "sunflower")) < 0.7 * before);
      // One pass with a small rate moves little, and in the right direction.
      const auto little = scene.difference(scene.row(scene.plan({{"lr", 1e-3}}), "sunflower"));
      CHECK(little < before);
      CHECK(little > scene.difference(scene.row(plan, "sunflower")));
    }
}

TEST_CASE("token_distillation: a step goes down the loss, whose slope is a difference of two passes") {
  Scene scene;
  // The first step of Adam moves each number by the learning rate against the sign of its gradient.
  const auto start = scene.start({"sun", "##flower"});
  const double lr = 1e-3;
  const auto moved = scene.row(scene.plan({{"lr", lr}}, {"a sunflower moon"}), "sunflower").sub(start).div(-lr);
  int compared = 0;
  for (std::int64_t d = 0; d < start.size(0); ++d) {
    auto up = start.clone(), down = start.clone();
    up[d] += 0.02, down[d] -= 0.02;
    const double slope = (scene.difference(up) - scene.difference(down)) / 0.04;
    if (std::abs(slope) < 1e-3) continue;
    ++compared;
    INFO("number " << d);
    CHECK(moved[d].item<double>() == Approx(slope > 0 ? 1 : -1).epsilon(0.01));
  }
  CHECK(compared >= 8);
}

TEST_CASE("token_distillation: pieces become one token, wherever it stands in a window") {
  Scene scene;
  scene.plan({}, {"a sunflower sunflowers moon"});
  const auto known = scene.model.last_known;
  CHECK(known == scene.source.size());
  std::multiset<std::int64_t> seen;
  for (std::int64_t i = 0; i < scene.model.last_ids.numel(); ++i)
    seen.insert(scene.model.last_ids.flatten()[i].item<std::int64_t>());
  // Two snippets of [begin] a sunflower sunflowers moon [end], with both tokens merged in each.
  CHECK(scene.model.last_ids.sizes() == at::IntArrayRef{2, 6});
  CHECK(seen.count(known) == 2);
  CHECK(seen.count(known + 1) == 2);
  CHECK(seen.count(scene.source.id("sun")) == 0);
}

TEST_CASE("token_distillation: a token that is one old piece learns about that row") {
  Scene scene;
  const Table settings{{"epochs", 20}, {"lr", 1e-3}};
  const auto old = scene.start({"star"});
  // Alone there is nothing to be learnt.
  const auto plan = scene.plan(settings, {"a star moon a", "star a"});
  CHECK(scene.row(plan, "star").sub(old).abs().max().item<double>() < 1e-6);
  // Beside a merged token it makes up for some of what that token cannot say.
  const auto star = scene.row(scene.plan(settings), "star");
  CHECK(star.sub(old).abs().max().item<double>() > 1e-4);
  CHECK(star.mul(old).sum().item<double>() > 0.95 * star.norm().item<double>() * old.norm().item<double>());
}

TEST_CASE("token_distillation: contexts, windows, and what stays open") {
  Scene scene;
  const auto plan = scene.plan({{"contexts", 2}});
  std::set<std::string> open;
  for (const auto row : plan.open_rows()) open.insert(scene.target.text(row));
  CHECK(open == std::set<std::string>{"[pad]", "[unk]", "[begin]", "[end]", "[mask]", "zz", "sunflowers"});
  CHECK(plan.rows()[static_cast<std::size_t>(scene.target.id("a"))].rule == "copy");
  // A window of two old tokens: the token's own pieces between what stands around every text.
  scene.plan({{"window", 2}}, {"a a a sunflower a a"});
  CHECK(scene.model.last_ids.sizes() == at::IntArrayRef{1, 3});
  // Three pieces do not fit.
  const auto small = scene.plan({{"window", 2}}, {"a sunflowers a"});
  CHECK(small.open_rows().size() == scene.target.size() - 1);
  // Of one text's six places two are read.
  scene.plan({{"contexts", 2}, {"batch", 100}}, {"sunflower sunflower sunflower sunflower sunflower sunflower"});
  CHECK(scene.model.last_ids.size(0) == 2);
  // A text longer than the model reads.
  std::string longest;
  for (int i = 0; i < 60; ++i) longest += "a ";
  scene.plan({{"window", 100}}, {longest + "sunflower " + longest});
  CHECK(scene.model.last_ids.size(1) == 39);
}

TEST_CASE("token_distillation: old states are computed once, however many epochs, and the rest is repeatable") {
  Scene scene;
  const auto once = scene.plan({{"batch", 100}});
  CHECK(scene.model.passes == 1);
  const auto often = scene.plan({{"batch", 100}, {"epochs", 7}});
  CHECK(scene.model.passes == 2);
  const auto again = scene.plan({{"batch", 100}, {"epochs", 7}});
  CHECK(scene.row(often, "sunflower").equal(scene.row(again, "sunflower")));
  CHECK_FALSE(scene.row(often, "sunflower").equal(scene.row(once, "sunflower")));
}

TEST_CASE("token_distillation: an output table of its own gets means of pieces or zeros") {
  Scene scene(Table{{"kind", "decoder"}, {"tied", false}});
  const auto& output = scene.model.weights().values[scene.model.weights().find("head.output")];
  const auto mean = output[scene.source.id("sun")].add(output[scene.source.id("##flower")]).div(2);
  CHECK(scene.row(scene.plan({}), "sunflower", "vocab.output").sub(mean).abs().max().item<double>() < 1e-6);
  CHECK(scene.row(scene.plan({{"output", "zero"}}), "sunflower", "vocab.output").abs().max().item<double>() == 0);
}

TEST_CASE("token_distillation: it runs where grad mode is off, and leaves it and every old number as they were") {
  Scene scene;
  std::vector<at::Tensor> before;
  for (const auto& value : scene.model.weights().values) before.push_back(value.clone());
  const at::NoGradGuard quiet;
  const auto plan = scene.plan({{"lr", 0.1}});
  CHECK(scene.row(plan, "sunflower").sub(scene.start({"sun", "##flower"})).abs().max().item<double>() > 0.01);
  CHECK_FALSE(at::GradMode::is_enabled());
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].equal(scene.model.weights().values[i]));
}

TEST_CASE("token_distillation says what it is missing") {
  Scene scene;
  const auto made = testing::registry().make<VocabInitializer>({{"type", "token_distillation"}});
  const testing::ToyCorpus corpus({"a"});
  MixPlan plan(scene.source.size(), scene.target.size());
  const auto with = [&](const DataSource* text, Handle* subject) {
    made->plan({.source = scene.source,
                .target = scene.target,
                .weights = &scene.model.weights(),
                .corpus = text,
                .subject = subject,
                .random = RandomStreams(1)},
               plan);
  };
  CHECK_THROWS_WITH(with(nullptr, &scene.model), ContainsSubstring("give the stage a `corpus`"));
  CHECK_THROWS_WITH(with(&corpus, nullptr), ContainsSubstring("runs the old model"));
  CHECK_THROWS_WITH(scene.plan({{"layer", 4}}), ContainsSubstring("`layer` is 4, the model has 2 layers"));
  CHECK_THROWS_WITH(scene.plan({{"lr", 1e30}, {"epochs", 4}, {"batch", 1}}), ContainsSubstring("use a lower `lr`"));
  scene.model.reads_vectors = false;
  CHECK_THROWS_WITH(scene.plan({}), ContainsSubstring("reads no vectors in their place"));
}

}  // namespace token_distillation_test
