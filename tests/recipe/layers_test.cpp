#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "../scratch.h"
#include "base/file.h"
#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {
namespace {

// A project of a test's own: recipes are written, one is resolved.
class Project {
 public:
  Project() {
    put("xp.toml", "");
    put("data/en.txt", "One.\n\nTwo.\n");
    put("data/de.txt", "Eins.\n\nZwei.\n");
    put("base.toml", R"(
[dataset.english]
type  = "text"
files = ["data/en.txt"]
[model.encoder]
type = "transformer"
[optimizer.adamw]
type = "adamw"
lr   = 0.01
[objective.masked]
type      = "mlm"
mask_rate = 0.2
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 100 }
corpus = "english"
[stage.pretrain]
type      = "train"
model     = "encoder"
tokenizer = "tokens"
data      = "english"
objective = "masked"
stop      = "1k tokens"
)");
  }

  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((scratch_ / name).parent_path());
    write_file(scratch_ / name, text);
  }

  Plan plan(const std::string& text, ResolveOptions options = {}) {
    put("r.toml", "recipe = 1\nextends = \"base.toml\"\n" + text);
    Problems problems;
    options.root = scratch_.path();
    auto out = resolve(scratch_ / "r.toml", small_catalogue(), options, problems);
    INFO(problems.text());
    REQUIRE(out);
    return std::move(*out);
  }

  std::vector<std::string> codes(const std::string& text, ResolveOptions options = {}) {
    put("r.toml", "recipe = 1\nextends = \"base.toml\"\n" + text);
    Problems problems;
    options.root = scratch_.path();
    resolve(scratch_ / "r.toml", small_catalogue(), options, problems);
    std::vector<std::string> out;
    for (const auto& one : problems.list()) out.push_back(one.code);
    return out;
  }

  const std::filesystem::path& root() const { return scratch_.path(); }

 private:
  Scratch scratch_;
};

const PlanNode& node(const Plan& plan, const std::string& name, const std::string& arm = "main",
                     std::int64_t seed = 0) {
  for (const auto& member : plan.members)
    if (member.arm == arm && member.seed == seed) return plan.nodes.at(member.nodes.at(name));
  throw Error("there is no " + arm);
}

Value setting(const Plan& plan, const std::string& name, const std::string& path, const std::string& arm = "main") {
  const auto* value = find(node(plan, name, arm).settings, path);
  return value ? *value : Value("nothing");
}

constexpr const char* kScore =
    "[stage.score]\ntype = \"evaluate\"\nmodel = \"pretrain\"\nwith = [{ type = \"pseudo_likelihood\", data = "
    "\"english:test\" }]\n";

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

TEST_CASE("references name splits, columns, outputs and what comes from outside") {
  Project p;
  p.put("models/tiny/config.json", "{}");
  const auto plan = p.plan(R"(
[stage.made]
type   = "generate"
corpus = "english#text"
method = { type = "rephrase" }
stop   = "1 kB"
[stage.more]
type      = "train"
model     = "hf:models/tiny"
data      = [{ dataset = "made", weight = 2 }, { dataset = "english:dev" }]
objective = "masked"
stop      = "1k tokens"
[stage.moved]
type        = "transfer_vocabulary"
model       = "more"
tokenizer   = "pretrain"
initializer = { type = "mean" }
[stage.score]
type  = "evaluate"
model = "moved.checkpoint"
with  = [{ type = "pseudo_likelihood", data = "made:test" }]
)");
  CHECK(node(plan, "made").settings.at("corpus").as<Reference>()->column == "text");
  const auto outside = setting(plan, "more", "model");
  REQUIRE(outside.as<Reference>());
  CHECK(outside.as<Reference>()->digest.size() == 64);
  CHECK(outside.as<Reference>()->path == (p.root() / "models/tiny").string());
  CHECK(setting(plan, "more", "data[0].dataset").as<Reference>()->split == "train");
  CHECK(setting(plan, "more", "data[0].weight") == Value(2.0));
  CHECK(setting(plan, "more", "data[1].dataset").as<Reference>()->split == "dev");
  CHECK(setting(plan, "moved", "tokenizer").as<Reference>()->kind == "checkpoint");  // its tokenizer
  CHECK(setting(plan, "score", "with[0].data").as<Reference>()->node == "made");
  const auto before = node(plan, "more").digest;
  p.put("models/tiny/config.json", "{ }");
  Problems problems;
  const auto after = resolve(p.root() / "r.toml", small_catalogue(), {.root = p.root()}, problems);
  REQUIRE(after);
  CHECK(node(*after, "more").digest != before);
  CHECK(node(*after, "pretrain").digest == node(plan, "pretrain").digest);
}

TEST_CASE("a file's content and name are part of the digest, its folder is not") {
  Project p;
  const auto before = p.plan(kScore);
  p.put("elsewhere/en.txt", "One.\n\nTwo.\n");
  const auto moved = p.plan(std::string(kScore) + "[dataset.english]\nfiles = [\"elsewhere/en.txt\"]\n");
  CHECK(node(moved, "tokens").digest == node(before, "tokens").digest);
  CHECK(to_text(moved) == to_text(before));
  p.put("elsewhere/en.txt", "One.\n\nThree.\n");
  const auto changed = p.plan(std::string(kScore) + "[dataset.english]\nfiles = [\"elsewhere/en.txt\"]\n");
  CHECK(node(changed, "tokens").digest != node(before, "tokens").digest);
}

TEST_CASE("spelling changes no digest, precision and seeds do") {
  Project p;
  const auto before = p.plan(kScore);
  const auto same = p.plan(std::string(kScore) + "[stage.pretrain]\nstop = \"1000 tokens\"\nclip = 1\n[arm.main]\n");
  CHECK(node(same, "pretrain").digest == node(before, "pretrain").digest);
  CHECK(same.plan_id == before.plan_id);
  CHECK(node(p.plan(std::string("precision = \"bfloat16\"\n") + kScore), "pretrain").digest !=
        node(before, "pretrain").digest);
  const auto seeds = p.plan(std::string("seeds = [0, 3]\n") + kScore);
  CHECK(node(seeds, "pretrain").digest == node(before, "pretrain").digest);
  CHECK(node(seeds, "pretrain", "main", 3).digest != node(before, "pretrain").digest);
  Problems problems;
  const auto engine =
      resolve(p.root() / "r.toml", small_catalogue(), {.root = p.root(), .engine_hash = "other"}, problems);
  REQUIRE(engine);
  CHECK(node(*engine, "pretrain").digest != node(seeds, "pretrain").digest);
  CHECK(engine->plan_id == seeds.plan_id);
}

TEST_CASE("the sweep's values lie over the arm and below overrides") {
  Project p;
  const std::string text = std::string(kScore) + "[arm.a]\n[arm.b.stage.pretrain]\nclip = 0.5\n";
  ResolveOptions options;
  options.sweep = {{"stage.pretrain.clip", Value(0.25)}, {"stage.pretrain.optimizer.lr", Value(0.5)}};
  options.set = {"stage.pretrain.optimizer.lr=0.125"};
  const auto plan = p.plan(text, options);
  CHECK(setting(plan, "pretrain", "clip", "b") == Value(0.25));
  CHECK(setting(plan, "pretrain", "optimizer.lr", "b") == Value(0.125));
}

TEST_CASE("plugin folders count with trust only") {
  Project p;
  p.put("r.toml",
        "recipe = 1\nextends = \"base.toml\"\n[plugins]\npath = [\"mine\", \"/opt/theirs\"]\n" + std::string(kScore));
  Problems problems;
  CHECK(plugin_folders(p.root() / "r.toml", {.root = p.root()}, problems).empty());
  const auto folders = plugin_folders(p.root() / "r.toml", {.trust_plugins = true, .root = p.root()}, problems);
  CHECK(folders == std::vector<std::filesystem::path>{p.root() / "mine", "/opt/theirs"});
  CHECK(resolve(p.root() / "r.toml", small_catalogue(), {.trust_plugins = true, .root = p.root()}, problems));
  CHECK(problems.text() == "");
}

TEST_CASE("towers, named parts and \"none\"") {
  Project p;
  const auto plan = p.plan(R"(
[tower.left]
model = "encoder"
[tower.right]
model = { type = "transformer", layers = 1 }
train = "none"
[stage.both]
type       = "train"
towers     = ["left", "right"]
data       = "english"
tokenizer  = "tokens"
objective  = { type = "contrastive", temperature = { learn = true, max = 100.0 } }
optimizer  = "none"
constraint = "none"
stop       = "1 epochs"
)");
  CHECK(setting(plan, "both", "towers[1].model.layers") == Value(1));
  CHECK(setting(plan, "both", "towers[0].name") == Value("left"));
  CHECK(setting(plan, "both", "towers[0].train") == Value("all"));
  CHECK(setting(plan, "both", "optimizer") == Value("nothing"));
  CHECK(setting(plan, "both", "constraint") == Value(List{}));
}

TEST_CASE("origins say which file and line set a value, overrides included") {
  Project p;
  p.put("r.toml", "recipe = 1\nextends = \"base.toml\"\n[optimizer.adamw]\nlr = 0.5\n");
  Problems problems;
  const auto text =
      origins(p.root() / "r.toml", {.set = {"stage.pretrain.stop=2k tokens"}, .root = p.root()}, problems);
  CHECK(problems.text() == "");
  CHECK(text.find("optimizer.adamw.lr = 0.5  # ") != std::string::npos);
  CHECK(text.find("r.toml:4\n") != std::string::npos);
  CHECK(text.find("stage.pretrain.stop = \"2k tokens\"  # --set number 1\n") != std::string::npos);
  CHECK(text.find("objective.masked.mask_rate = 0.2  # ") != std::string::npos);
}

TEST_CASE("the graph as Graphviz text has an edge for each input") {
  Project p;
  const auto text = to_dot(p.plan(kScore));
  CHECK(text.starts_with("digraph"));
  CHECK(text.find("n0 -> n1;") != std::string::npos);
  CHECK(text.find("n1 -> n2;") != std::string::npos);
}

TEST_CASE("values for results name arms, members, nodes and what to report") {
  Project p;
  const auto plan =
      p.plan("seeds = 2\n" + std::string(kScore) + "[[table]]\nid = \"main\"\ncolumns = [\"pretrain.loss\"]\n");
  const auto value = to_value(plan);
  const auto& table = *value.as<Table>();
  CHECK(find(table, "members[1].seed")->number() == 1);
  CHECK(find(table, "tables[0].columns[0]")->as<std::string>()->compare("pretrain.loss") == 0);
  const auto digest = *find(table, "members[0].stages.pretrain")->as<std::string>();
  CHECK(*table.at("nodes").as<Table>()->at(digest).as<Table>()->at("type").as<std::string>() == "train");
  CHECK(value_from_json(to_json(value)).as<Table>()->size() == table.size());
}

TEST_CASE("many mistakes are reported together, what follows from one is not") {
  Project p;
  const auto codes = p.codes(
      "sedes = 1\n[optimizer.adamw]\nlr = -1\n[stage.pretrain]\nobjective = { type = \"mlmm\" }\n[[table]]\nid = "
      "\"t\"\ncolumns = [\"pretrain.perplexity\", \"pretrian.loss\"]\n");
  CHECK(codes.size() == 4);  // the metric of a stage whose objective is not known is left alone
}

TEST_CASE("recipes that multiply end with a message, not with the machine's memory") {
  Project p;
  std::string text = "[objective.o0]\ntype = \"mlm\"\n";
  for (int i = 1; i <= 15; ++i) {
    const auto below = "\"o" + std::to_string(i - 1) + "\"";
    text += "[objective.o" + std::to_string(i) + "]\ntype = \"sum\"\nterms = [" + below + ", " + below + ", " +
            below + "]\n";
  }
  for (const auto& code : p.codes(text + "[stage.pretrain]\nobjective = \"o15\"\n")) CHECK(code == "too-many");
  text.clear();
  for (int i = 0; i < 200; ++i)
    text += "[stage.s" + std::to_string(i) + "]\ntype = \"evaluate\"\nmodel = \"s" + std::to_string(i + 1) +
            "\"\nwith = []\n";
  const auto codes = p.codes(text);
  CHECK(std::find(codes.begin(), codes.end(), "too-deep") != codes.end());
  text = "[stage.many]\ntype = \"evaluate\"\nmodel = \"pretrain\"\nwith = []\neach = { ";
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"})
    text += std::string(key) + " = [\"p\", \"q\", \"r\"], ";
  CHECK(p.codes(text.substr(0, text.size() - 2) + " }\n") == std::vector<std::string>{"bad-each"});
}

TEST_CASE("\"none\" in a claim is the same as nothing") {
  Project p;
  CHECK(p.codes(std::string("seeds = 5\n[arm.a]\n[arm.b]\n") + kScore +
                "[[claim]]\nid = \"c\"\nmetric = \"pretrain.loss\"\narm = \"a\"\nbaseline = \"b\"\ncontrol = "
                "\"none\"\ngate = \"none\"\nslope = \"none\"\n")
            .empty());
}

}  // namespace
}  // namespace xp
