#include <catch2/catch_test_macros.hpp>

#include "project.h"

namespace xp {
namespace {

TEST_CASE("tables merge, another type replaces, values replace") {
  Project p;
  const auto plan = p.plan(std::string(kScore) + R"(
[optimizer.adamw]
weight_decay = 0.5
[stage.tokens]
method = { type = "unigram" }
)");
  CHECK(setting(plan, "pretrain", "optimizer.lr") == Value(0.01));
  CHECK(setting(plan, "pretrain", "optimizer.weight_decay") == Value(0.5));
  CHECK(setting(plan, "tokens", "method.vocab_size") == Value(8000));  // the default of the other type
}

TEST_CASE("an overlay below a named component copies it into that place first") {
  Project p;
  const auto plan = p.plan(std::string(kScore) + R"(
[stage.more]
type      = "train"
model     = "pretrain"
data      = "english"
objective = "masked"
stop      = "1k tokens"
[stage.pretrain.objective]
whole_words = true
)");
  CHECK(setting(plan, "pretrain", "objective.mask_rate") == Value(0.2));
  CHECK(setting(plan, "pretrain", "objective.whole_words") == Value(true));
  CHECK(setting(plan, "more", "objective.whole_words") == Value(false));
}

TEST_CASE("below a part that is not written the default is changed") {
  Project p;
  const auto plan =
      p.plan(std::string(kScore) +
             "[stage.pretrain.optimizer]\nlayer_decay = 0.8\n[stage.pretrain.schedule]\nwarmup = 0.2\n");
  CHECK(setting(plan, "pretrain", "optimizer.lr") == Value(0.01));
  CHECK(setting(plan, "pretrain", "optimizer.layer_decay") == Value(0.8));
  CHECK(setting(plan, "pretrain", "schedule.warmup") == Value(0.2));
}

TEST_CASE("lists of tables with id merge by id, other lists replace") {
  Project p;
  p.put("claims.toml", R"(recipe = 1
extends = "base.toml"
seeds   = 5
[arm.a]
[arm.b]
[[table]]
id      = "one"
columns = ["pretrain.loss"]
[[table]]
id      = "two"
columns = ["pretrain.loss"]
)");
  p.put("r.toml",
        "recipe = 1\nextends = \"claims.toml\"\n[[table]]\nid = \"two\"\ntitle = \"T\"\ncolumns = "
        "[\"pretrain.tokens\"]\n[[table]]\nid = \"three\"\ncolumns = [\"pretrain.steps\"]\n");
  Problems problems;
  const auto plan = resolve(p.root() / "r.toml", small_catalogue(), {.root = p.root()}, problems);
  INFO(problems.text());
  REQUIRE(plan);
  REQUIRE(plan->tables.size() == 3);
  CHECK(plan->tables[0].id == "one");
  CHECK(plan->tables[1].title == "T");
  CHECK(plan->tables[1].columns == std::vector<std::string>{"pretrain.tokens"});
  CHECK(plan->tables[2].id == "three");
}

TEST_CASE("expand gives a member for each overlay, or for each element of a product") {
  Project p;
  const auto plan = p.plan(std::string(kScore) + R"(
[arm.plain]
[arm.listed]
label  = "L"
expand = [{ "stage.pretrain.stop" = "2k tokens" }, { "stage.pretrain.stop" = "3k tokens" }]
[arm.grid]
expand = { "stage.pretrain.stop" = ["4k tokens", "5k tokens"], "stage.pretrain.clip" = [0.5, 2.0] }
)");
  std::vector<std::string> arms;
  for (const auto& member : plan.members) arms.push_back(member.arm);
  CHECK(arms ==
        std::vector<std::string>{"plain", "listed[0]", "listed[1]", "grid[0]", "grid[1]", "grid[2]", "grid[3]"});
  CHECK(plan.members[1].label == "L [0]");
  CHECK(setting(plan, "pretrain", "stop", "listed[1]") == Value("3000 tokens"));
  CHECK(setting(plan, "pretrain", "stop", "grid[1]") == Value("4000 tokens"));
  CHECK(setting(plan, "pretrain", "clip", "grid[1]") == Value(2.0));
  CHECK(setting(plan, "pretrain", "stop", "grid[2]") == Value("5000 tokens"));
  CHECK(setting(plan, "pretrain", "clip", "grid[2]") == Value(0.5));
}

TEST_CASE("each makes members whose strings have the value, and [*] refers to all") {
  Project p;
  const auto plan = p.plan(R"(
[dataset.german]
type  = "text"
files = ["data/de.txt"]
[stage.tuned]
each      = { task = ["english", "german"] }
type      = "train"
model     = "pretrain"
data      = "{task}:train"
objective = "masked"
stop      = "1k tokens"
[stage.merged]
type   = "transform_checkpoint"
model  = "tuned[*]"
method = { type = "linear_merge" }
[stage.last]
type  = "evaluate"
model = "tuned[german]"
with  = [{ type = "pseudo_likelihood", data = "german:test", as = "german" }]
)");
  CHECK(node(plan, "tuned[german]").settings.at("data").as<Reference>()->text == "german:train");
  const auto merged = setting(plan, "merged", "model");
  REQUIRE(merged.as<List>());
  REQUIRE(merged.as<List>()->size() == 2);
  CHECK(merged.as<List>()->at(1).as<Reference>()->node == "tuned[german]");
  CHECK(node(plan, "last").settings.at("model").as<Reference>()->digest == node(plan, "tuned[german]").digest);
  CHECK(setting(plan, "last", "with[0].as") == Value("german"));
}

TEST_CASE("smoke passes over what an arm no longer has") {
  Project p;
  const std::string text = std::string(kScore) + R"(
[arm.plain]
[arm.merged.stage.pretrain]
type   = "transform_checkpoint"
model  = ["other"]
method = { type = "linear_merge" }
[stage.other]
type      = "train"
model     = "encoder"
tokenizer = "tokens"
data      = "english"
objective = "masked"
stop      = "1k tokens"
[smoke]
seeds = 1
stage.pretrain.stop = "10 steps"
stage.pretrain.objective.mask_rate = 0.5
)";
  const auto plan = p.plan(text, {.smoke = true});
  CHECK(setting(plan, "pretrain", "stop", "plain") == Value("10 steps"));
  CHECK(setting(plan, "pretrain", "objective.mask_rate", "plain") == Value(0.5));
  CHECK(setting(plan, "pretrain", "stop", "merged") == Value("nothing"));
  // The same path in an override is a mistake.
  CHECK(p.codes(text, {.set = {"stage.pretrain.stop=10 steps"}}) == std::vector<std::string>{"unknown-key"});
}

TEST_CASE("stages that nothing needs are not part of the plan") {
  Project p;
  const auto plan = p.plan(R"(
[stage.teacher]
type      = "train"
model     = "pretrain"
data      = "english"
objective = "masked"
stop      = "1k tokens"
[stage.tuned]
type      = "train"
model     = "teacher"
data      = "english"
objective = "masked"
stop      = "1k tokens"
[arm.taught]
[arm.plain.stage.tuned]
model = "pretrain"
)");
  CHECK(plan.members[0].nodes.contains("teacher"));
  CHECK_FALSE(plan.members[1].nodes.contains("teacher"));
  CHECK(plan.members[1].nodes.contains("tuned"));
}

TEST_CASE("a stage of a shared part runs only where it is read") {
  Project p;
  p.put("part.toml",
        "[stage.spare]\ntype = \"train_tokenizer\"\nmethod = { type = \"bpe\" }\ncorpus = \"english\"\n");
  p.put("r.toml", "recipe = 1\nextends = [\"base.toml\", \"part.toml\"]\n" + std::string(kScore));
  Problems problems;
  const auto plan = resolve(p.root() / "r.toml", small_catalogue(), {.root = p.root()}, problems);
  REQUIRE(plan);
  CHECK_FALSE(plan->members[0].nodes.contains("spare"));
  CHECK(plan->members[0].nodes.contains("tokens"));
}

TEST_CASE("a recipe of which nothing would run is a mistake") {
  Project p;
  CHECK(p.codes("") == std::vector<std::string>{"no-stages"});
}

}  // namespace
}  // namespace xp
