#include "kit/hypernetwork.h"

#include <c10/core/GradMode.h>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/torch_recipe_run.h"
#include "testing/torch_toy_build.h"

namespace hypernetwork_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;
using Pieces = std::vector<std::vector<TokenId>>;

Parameters model(bool tied) {
  Parameters out;
  const auto add = [&](const char* role, at::Tensor value) {
    out.info.push_back({role, role}), out.values.push_back(std::move(value));
  };
  const auto input = toy_normal(RandomStream(1), {300, 6}, {0.5, 2}, at::kFloat);
  add("vocab.input", input);
  add("vocab.output", tied ? input : toy_normal(RandomStream(2), {300, 4}, {-1, 0.3}, at::kFloat));
  add("vocab.bias", toy_normal(RandomStream(3), {300}, {-3, 0.1}, at::kFloat));
  return out;
}

std::vector<at::Tensor> drawn(const Hypernetwork& network) {
  std::vector<at::Tensor> out;
  for (const auto& one : network.wanted())
    out.push_back(toy_normal(RandomStream(10 + out.size()), one.shape, one.init, at::kFloat).requires_grad_(true));
  return out;
}

double apart(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST_CASE("a hypernetwork predicts each token by its own pieces in their order, up to the longest that it reads") {
  const at::NoGradGuard quiet;
  const auto tables = vocab_tables(model(false));
  const Hypernetwork network({.layers = 2, .width = 8, .heads = 2, .max_pieces = 3}, tables);
  const auto w = drawn(network);
  const auto all = network.predict(w, tables, Pieces{{7, 8}, {9}, {8, 7}, {1, 2, 3, 4}, {1, 2, 3, 5}, {10}});
  REQUIRE(all.size() == 3);
  CHECK(all[0].sizes() == at::IntArrayRef{6, 6});
  CHECK(all[1].sizes() == at::IntArrayRef{6, 4});
  CHECK(all[2].sizes() == at::IntArrayRef{6});
  const auto alone = network.predict(w, tables, Pieces{{9}});
  for (std::size_t t = 0; t < 3; ++t) {
    CHECK(apart(all[t][1], alone[t][0]) < 1e-5);
    CHECK(apart(all[t][0], all[t][2]) > 1e-4);
    CHECK(apart(all[t][3], all[t][4]) < 1e-6);
    CHECK(apart(all[t][1], all[t][5]) > 1e-4);
  }
  CHECK_THROWS_AS(network.predict(w, tables, Pieces{{1}, {}}), Error);
  CHECK_THROWS_AS(network.predict(w, tables, Pieces{}), Error);
}

TEST_CASE("tied tables are one; predictions start at the tables' scale, or at the mean of the pieces' rows") {
  const at::NoGradGuard quiet;
  const auto tables = vocab_tables(model(true));
  REQUIRE(tables.size() == 2);
  Pieces pieces;
  for (TokenId id = 0; id < 300; ++id) pieces.push_back({id, (id + 1) % 300});
  const Hypernetwork plain({.width = 64, .heads = 4}, tables);
  const auto made = plain.predict(drawn(plain), tables, pieces);
  CHECK(std::abs(made[0].mean().item<double>() - 0.5) < 1);
  const double spread = (made[0] - tables[0].mean).square().mean().sqrt().item<double>();
  CHECK((spread > 1 && spread < 4));
  const Hypernetwork residual({.residual = true}, tables);
  const auto added = residual.predict(drawn(residual), tables, pieces);
  CHECK(apart(added[0][5], (tables[0].rows[5] + tables[0].rows[6]) / 2) < 1e-5);
  CHECK(apart(added[1][5], (tables[1].rows[5] + tables[1].rows[6]) / 2) < 1e-5);
}

TEST_CASE("every weight of a hypernetwork takes part; heads must divide the width") {
  const auto tables = vocab_tables(model(false));
  const Hypernetwork network({.layers = 1, .width = 8, .heads = 2, .max_pieces = 2}, tables);
  auto w = drawn(network);
  at::Tensor sum = ops::zeros({});
  for (const auto& one : network.predict(w, tables, Pieces{{7, 8}, {9}})) sum = sum + one.square().sum();
  sum.backward();
  for (std::size_t i = 0; i < w.size(); ++i) {
    INFO(network.wanted()[i].info.name);
    REQUIRE(w[i].grad().defined());
    // A key's bias moves all scores of a query alike.
    if (!network.wanted()[i].info.name.ends_with("key.bias")) CHECK(w[i].grad().abs().max().item<double>() > 1e-7);
  }
  CHECK_THROWS_AS(Hypernetwork({.width = 9, .heads = 2}, tables), Error);
}

constexpr const char* kRecipe = R"(
recipe  = 1
name    = "zero_shot"
threads = 1
[dataset.text]
type  = "text"
files = ["text.txt"]
split = { dev = 0, test = 0 }
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 34, min_count = 1 }
corpus = "text"
[model.small]
type     = "transformer"
kind     = "encoder"
layers   = 1
width    = 16
heads    = 2
max_time = 24
[stage.trained]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "text"
objective = { type = "mlm" }
batch     = { items = 16 }
stop      = "60 steps"
[stage.words]
type   = "fit"
method = { type = "marked_words" }
corpus = "text"
[tower.host]
model = "trained"
train = "TRAIN"
[stage.learnt]
type      = "train"
towers    = ["host"]
data      = "text"
objective = { type = "hypernetwork", task = "mlm", words = "words", pieces = 60, draws = 300, row_tokens = 64, row_steps = ROWS, network = { layers = 1 } }
optimizer = { type = "adamw", lr = 3e-3 }
batch     = { items = 16, micro = 5 }
stop      = "60 steps"
[stage.new_tokens]
type   = "train_tokenizer"
method = { type = "unigram", vocab_size = 40 }
corpus = "text"
[stage.moved]
type        = "transfer_vocabulary"
model       = "trained"
tokenizer   = "new_tokens"
initializer = { type = "zett", hypernetwork = "learnt" }
)";

struct Project : RecipeRun {
  explicit Project(const std::string& rows, const std::string& train = "none", const std::string& words = {}) {
    std::string recipe = kRecipe;
    if (!words.empty()) recipe.replace(recipe.find("\"marked_words\""), 14, words);
    recipe.replace(recipe.find("TRAIN"), 5, train), recipe.replace(recipe.find("ROWS"), 4, rows);
    put("text.txt", planted_text(200));
    run(recipe);
  }
};

double mean(const Curve& curve, std::size_t from, std::size_t to) {
  double sum = 0;
  for (auto i = from; i < to; ++i) sum += curve.points.at(i).value;
  return sum / static_cast<double>(to - from);
}

TEST_CASE("a hypernetwork learns through the frozen model, which stays bit for bit as it was") {
  const Project project("20");
  const auto host = project.checkpoint("trained"), learnt = project.checkpoint("learnt");
  for (Param i = 0; i < host.parameters.size(); ++i)
    CHECK(learnt.parameters.values[i].equal(host.parameters.values[i]));
  CHECK(learnt.objective_parameters.size() > 20);
  const auto record = project.record("learnt");
  const auto& rows = record.curves.at("term.rows");
  const auto& text = record.curves.at("term.language_model");
  CHECK(mean(rows, 15, 20) < 0.8 * mean(rows, 0, 5));
  CHECK(mean(text, 0, 20) == 0);
  CHECK(mean(text, 50, 60) < mean(text, 20, 30));
}

TEST_CASE("a hypernetwork learns a model's rows alone, without words and without a head over tokens") {
  std::string recipe = kRecipe;
  const auto replace = [&](const std::string& from, const std::string& to) {
    recipe.replace(recipe.find(from), from.size(), to);
  };
  replace("\"TRAIN\"", "\"none\""),
      replace("task = \"mlm\", words = \"words\", pieces = 60, draws = 300, ", "task = \"rows\", ");
  replace(", row_steps = ROWS", "");
  RecipeRun project;
  project.put("text.txt", planted_text(200));
  project.run(recipe);
  const auto record = project.record("learnt");
  CHECK_FALSE(record.curves.contains("term.language_model"));
  const auto& rows = record.curves.at("loss");
  CHECK(mean(rows, 50, 60) < 0.5 * mean(rows, 0, 5));
  CHECK(project.record("moved").finals.at("share.hypernetwork").value > 0);
}

TEST_CASE("a residual network learns rows from smaller pieces; from the tokens themselves it would learn nothing") {
  std::string recipe = kRecipe;
  const auto replace = [&](const std::string& from, const std::string& to) {
    recipe.replace(recipe.find(from), from.size(), to);
  };
  replace("\"TRAIN\"", "\"none\""), replace("network = { layers = 1 }", "network = { layers = 1, residual = true }");
  replace("task = \"mlm\", words = \"words\", pieces = 60, draws = 300, ", "task = \"rows\", ");
  replace(", row_steps = ROWS", "");
  RecipeRun project;
  project.put("text.txt", planted_text(200));
  CHECK_THAT(said([&] { project.run(recipe); }),
             Catch::Matchers::ContainsSubstring("set `row_pieces = \"smaller\"`"));
  replace("row_tokens = 64", "row_tokens = 64, row_pieces = \"smaller\"");
  project.run(recipe);
  const auto& rows = project.record("learnt").curves.at("loss");
  CHECK(mean(rows, 0, 5) > 0);
  CHECK(mean(rows, 50, 60) < 0.7 * mean(rows, 0, 5));
}

TEST_CASE("zett sets every new token that the old tokenizer can spell to what the hypernetwork predicts") {
  const Project project("60");
  const auto host = project.checkpoint("trained"), learnt = project.checkpoint("learnt"),
             moved = project.checkpoint("moved");
  const auto source = project.tokenizer("trained"), target = project.tokenizer("moved");
  const auto tables = vocab_tables(host.parameters);
  const Hypernetwork network({.layers = 1}, tables);
  std::vector<at::Tensor> w;
  for (const auto& one : network.wanted())
    w.push_back(learnt.objective_parameters.values[learnt.objective_parameters.find("objective." + one.info.name)]);
  const auto& rows = moved.parameters.values[moved.parameters.select("role:vocab.input").at(0)];
  const auto record = project.record("moved");
  std::size_t predicted = 0;
  for (TokenId id = 0; id < target->size(); ++id) {
    if (record.ledgers.at("tokens").rows.at(static_cast<std::size_t>(id)).at(2) != "hypernetwork") continue;
    const auto pieces = source->pieces(target->key(id));
    CHECK(pieces.size() > 1);  // one piece would be the same token
    CHECK(apart(rows[id], network.predict(w, tables, Pieces{pieces})[0][0]) < 1e-5);
    ++predicted;
  }
  REQUIRE(predicted > 0);
}

TEST_CASE("the model of a hypernetwork must be frozen") {
  CHECK_THAT(said([] { Project("0", "all"); }), ContainsSubstring("train = \"none\""));
}

TEST_CASE("vocabularies are drawn from words that have the mark of their space") {
  CHECK_THAT(said([] { Project("0", "none", R"("word_counts", min_count = 1, max_share = 1)"); }),
             ContainsSubstring("method `marked_words`"));
}

}  // namespace hypernetwork_test
