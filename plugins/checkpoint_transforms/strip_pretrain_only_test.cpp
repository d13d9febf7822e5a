#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/checkpoint_transform.h"
#include "small_models_fixture.h"
#include "testing/testing.h"
#include "testing/torch_recipe_run.h"

namespace strip_pretrain_only_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint;
using xp::testing::transformed, xp::testing::small_checkpoint, xp::testing::parameter_difference,
    xp::testing::small_logits;

Checkpoint stripped(const Checkpoint& model) { return transformed({{"type", "strip_pretrain_only"}}, {&model}); }

/// A model as pre-training might keep it: with a head of its own, an objective with parameters, classes and state.
Checkpoint laden() {
  auto out = small_checkpoint(1, 3);
  const auto head = xp::ops::full({4, 16}, 0.5);
  out.parameters.info.insert(out.parameters.info.begin() + 1, {"detector", "head", -1, xp::Lifetime::pretrain_only});
  out.parameters.values.insert(out.parameters.values.begin() + 1, head);
  out.objective = {{"type", "classification"}};
  out.objective_parameters = {{{"objective.output", "head"}}, {head}};
  out.categories["label"] = {"no", "yes"};
  out.state.child("optimizer").set("step", xp::Ints{{3}});
  return out;
}

void check_bare(const Checkpoint& model) {
  CHECK(model.objective.empty());
  CHECK(model.objective_parameters.size() == 0);
  CHECK(model.categories.empty());
  CHECK(model.state.child_names().empty());
  CHECK(model.parameters.select("detector").empty());
}

TEST_CASE("strip_pretrain_only leaves the bare model, whose outputs stay") {
  const auto plain = small_checkpoint(1, 3), full = laden();
  const auto bare = stripped(full);
  check_bare(bare);
  CHECK(parameter_difference(bare, plain) == 0);
  CHECK(small_logits(bare).equal(small_logits(plain)));
  CHECK(bare.reserved == full.reserved);
  CHECK((bare.settings == full.settings));
  CHECK(full.parameters.select("detector").size() == 1);  // a pure function
}

TEST_CASE("strip_pretrain_only keeps what is shared with the model, and strips its towers too") {
  auto full = laden();
  full.parameters.values[1] = full.parameters.values[0];  // the head that goes is the token table
  full.parameters.info.push_back({"table", "vocab.output"}),
      full.parameters.values.push_back(full.parameters.values[0]);
  full.towers.push_back(laden());
  full.towers[0].role = "document";
  const auto bare = stripped(full);
  check_bare(bare);
  CHECK(bare.parameters.values.front().is_same(bare.parameters.values.back()));
  REQUIRE(bare.towers.size() == 1);
  CHECK(bare.towers[0].role == "document");
  check_bare(bare.towers[0]);
}

TEST_CASE("strip_pretrain_only takes one checkpoint") {
  const auto a = small_checkpoint(1, 1);
  CHECK_THROWS_WITH(transformed({{"type", "strip_pretrain_only"}}, {&a, &a}),
                    ContainsSubstring("takes one checkpoint, not 2"));
}

TEST_CASE("strip_pretrain_only in a recipe: a classifier becomes a model that another objective trains") {
  xp::testing::RecipeRun project;
  std::string table = "text\tlabel\n";
  for (int i = 0; i < 40; ++i) table += i % 2 ? "ship wave sail\tsea\n" : "cow field barn\tland\n";
  project.put("labelled.tsv", table);
  project.run(R"(
recipe  = 1
name    = "stripped"
threads = 1
[dataset.labelled]
type  = "labelled_text"
files = ["labelled.tsv"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "labelled"
[stage.classifier]
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 16 }
tokenizer = "tokens"
data      = "labelled"
objective = { type = "classification" }
stop      = "3 steps"
[stage.bare]
type   = "transform_checkpoint"
model  = "classifier"
method = { type = "strip_pretrain_only" }
[stage.next]
type      = "train"
model     = "bare"
data      = "labelled"
objective = { type = "mlm" }
stop      = "1 steps"
)");
  const auto full = project.checkpoint("classifier"), bare = project.checkpoint("bare");
  CHECK(full.objective_parameters.size() > 0);
  CHECK(full.categories.contains("label"));
  check_bare(bare);
  CHECK(parameter_difference(full, bare) == 0);
  CHECK(project.tokenizer("bare")->json() == project.tokenizer("classifier")->json());
  CHECK(project.record("next").counters.steps == 1);
}

}  // namespace strip_pretrain_only_test
