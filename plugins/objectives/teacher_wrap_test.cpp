#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/evaluator.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace teacher_wrap_test {

using Catch::Matchers::ContainsSubstring;
using xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

const Table kMasked{{"type", "mlm"}, {"mask_rate", 0.3}}, kFeatures{{"type", "match_features"}},
    kSoft{{"type", "soft_cross_entropy"}, {"hidden", "shared"}};

Table wrapped(Table match, xp::Value weight, Table task = kMasked) {
  return {{"type", "teacher_wrap"}, {"task", std::move(task)}, {"match", std::move(match)}, {"weight", weight}};
}

FixtureSpec spec(Table objective, std::uint64_t seed = 1) {
  FixtureSpec s;
  s.seed = seed;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2},    {"width", 16},   {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.2}, {"dropout", 0.1}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  return s;
}

const xp::Checkpoint& teacher() {
  static const auto one = [] {
    auto out = Fixture(xp::testing::registry(), spec(kMasked, 2)).exported();
    out.settings.erase("type");
    return out;
  }();
  return one;
}

std::unique_ptr<Fixture> student(Table objective) {
  auto s = spec(std::move(objective));
  s.references["teacher"] = &teacher();
  return std::make_unique<Fixture>(xp::testing::registry(), s);
}

std::vector<std::vector<xp::Example>> texts() { return random_texts(spec({}), 12); }

TEST_CASE("teacher_wrap of weight 0 is its task, bit for bit, and runs no other pass") {
  const auto f = student(wrapped(kFeatures, 0.0)), alone = student(kMasked);
  for (int step = 0; step < 3; ++step) {
    const auto batch = f->load(texts()), same = alone->load(texts());
    CHECK(batch.dense("masked_ids").equal(same.dense("masked_ids")));
    CHECK(f->accumulate({batch}) == alone->accumulate({same}));
    CHECK(xp::testing::largest_difference(xp::testing::gradients(*f), xp::testing::gradients(*alone)) == 0);
    CHECK(f->passes == std::map<std::string, int>{{"primary", 1}});
    CHECK(f->objective().counts(batch).size() == 1);
    CHECK(f->terms.at("task.mlm") == alone->terms.at("mlm"));
    f->update(), alone->update();
  }
}

TEST_CASE("teacher_wrap adds the weighted distance to the reference, and the task draws as alone") {
  const double weight = 0.7;
  const auto f = student(wrapped(kFeatures, weight)), task = student(kMasked), match = student(kFeatures);
  const auto batch = f->load(texts()), same = task->load(texts());
  CHECK(batch.dense("masked_ids").equal(same.dense("masked_ids")));
  const double loss = f->accumulate({batch}), own = task->accumulate({same}), apart = match->accumulate({batch});
  CHECK(f->terms.at("task.mlm") == own);
  CHECK(std::abs(f->terms.at("match.match") - apart) < 1e-5 * apart);
  CHECK(std::abs(loss - (own + weight * apart)) < 1e-5 * loss);
  CHECK(apart > 0);
  CHECK(f->passes == std::map<std::string, int>{{"primary", 2}, {"teacher", 1}});
  auto expected = xp::testing::gradients(*task);
  const auto second = xp::testing::gradients(*match);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = expected[i] + weight * second[i];
  CHECK(xp::testing::largest_difference(expected, xp::testing::gradients(*f)) < 1e-5);
  for (const auto& value : f->weights("teacher").values) CHECK((!value.grad().defined() && !value.requires_grad()));
}

TEST_CASE("teacher_wrap with soft labels asks for the tokens that the task hides") {
  const auto f = student(wrapped(kSoft, 2.0));
  const auto batch = f->load(texts());
  const double loss = f->accumulate({batch});
  CHECK(std::abs(loss - (f->terms.at("task.mlm") + 2 * f->terms.at("match.soft"))) < 1e-5);
  const auto counts = f->objective().counts(batch);
  CHECK(counts.at("task.mlm").equal(counts.at("match.soft")));
  CHECK(f->metrics.contains("match.agreement"));
  const auto exact = xp::testing::gradients(*f);
  CHECK(std::abs(f->accumulate(xp::testing::split(batch, 5)) - loss) < 1e-5);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(*f)) < 1e-5);
  const auto twice = student(wrapped({{"type", "soft_cross_entropy"}}, 1.0));
  CHECK_THROWS_WITH(twice->load(texts()), ContainsSubstring("written twice, the second time by `match`"));
}

TEST_CASE("teacher_wrap hands schedules on and moves its own weight") {
  const auto f = student(wrapped(kSoft, 1.0));
  f->set("weight", 0.25), f->set("task.mask_rate", 0.8), f->set("match.temperature", 3.0);
  const auto batch = f->load(texts());
  CHECK(batch.dense("labels").ge(0).sum().item<double>() > 0.7 * batch.dense("input.mask").sum().item<double>());
  const double loss = f->accumulate({batch});
  CHECK(std::abs(loss - (f->terms.at("task.mlm") + 0.25 * f->terms.at("match.soft"))) < 1e-5);
  const auto warm =
      student(wrapped({{"type", "soft_cross_entropy"}, {"hidden", "shared"}, {"temperature", 3.0}}, 1.0));
  warm->accumulate({batch});
  CHECK(f->terms.at("match.soft") == warm->terms.at("match.soft"));
  f->set("weight", 0);
  f->accumulate({batch});
  CHECK(f->terms.size() == 1);
  CHECK_THROWS_WITH(f->set("weight", -1), ContainsSubstring("`weight` is -1; it must be 0 or more"));
}

TEST_CASE("teacher_wrap is used as its task is") {
  auto s = spec(wrapped(kFeatures, 1.0, {{"type", "classification"}}));
  s.references["teacher"] = &teacher();
  s.dataset_fields.push_back({"label", "", -1});
  s.categories["label"] = {"no", "yes"};
  CHECK(Fixture(xp::testing::registry(), s).handle()->can("predict"));
  CHECK_FALSE(student(wrapped(kFeatures, 1.0))->handle()->can("predict"));
}

TEST_CASE("teacher_wrap keeps what every objective keeps") {
  auto model = spec({}).model;
  model.erase("dropout");
  const Table next{{"type", "causal_lm"}};
  for (const double weight : {0.0, 0.6})
    CHECK(xp::testing::check_objective(xp::testing::registry(), wrapped(next, weight, next), {model}).empty());
}

TEST_CASE("teacher_wrap needs both objectives and a weight that is none below 0") {
  CHECK_THROWS_WITH(student({{"type", "teacher_wrap"}, {"task", kMasked}, {"match", "none"}}),
                    ContainsSubstring("`match` is none; an objective is needed"));
  CHECK_THROWS_WITH(student(wrapped(kFeatures, -0.5)), ContainsSubstring("`weight` is -0.5"));
}

TEST_CASE("teacher_wrap trains from a recipe: without weight as the task alone, then with a weight that moves") {
  xp::testing::RecipeRun project;
  project.put("en.txt", xp::testing::planted_text(60));
  std::string recipe = R"(
recipe  = 1
name    = "wrapped"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "prose"
[stage.general]
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32, dropout = 0.1 }
tokenizer = "tokens"
data      = "prose"
objective = { type = "mlm" }
stop      = "2 steps"
[stage.alone]
type      = "train"
model     = "general"
data      = "prose"
objective = { type = "mlm", mask_rate = 0.3 }
stop      = "3 steps"
)";
  for (const auto& [name, weight] : {std::pair("still", "0.0"), std::pair("moving", "{ from = 0.0, to = 4.0 }")})
    recipe += std::string("[stage.") + name + R"(]
type       = "train"
model      = "general"
references = { teacher = "general" }
data       = "prose"
stop       = "3 steps"
objective  = { type = "teacher_wrap", weight = )" +
              weight +
              R"(, task = { type = "mlm", mask_rate = 0.3 }, match = { type = "match_features" } }
)";
  project.run(recipe);
  const auto alone = project.checkpoint("alone"), still = project.checkpoint("still"),
             moving = project.checkpoint("moving");
  bool moved = false;
  for (xp::Param i = 0; i < alone.parameters.size(); ++i) {
    CHECK(alone.parameters.values[i].equal(still.parameters.values[i]));
    moved = moved || !alone.parameters.values[i].equal(moving.parameters.values[i]);
  }
  CHECK(moved);
  const auto record = project.record("moving");
  CHECK(record.curves.at("term.match.match").points.size() == 2);  // the first step has weight 0
  CHECK(record.curves.at("knob.weight").points.size() == 3);
}

}  // namespace teacher_wrap_test
