#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "project.h"

namespace xp {
namespace {

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

/// A folder for caches that is empty at first, for the length of a test.
class OwnCache {
 public:
  OwnCache() {
    if (const char* was = std::getenv("XDG_CACHE_HOME")) old_ = was;
    ::setenv("XDG_CACHE_HOME", scratch_.path().c_str(), 1);
  }
  OwnCache(const OwnCache&) = delete;
  ~OwnCache() { old_ ? ::setenv("XDG_CACHE_HOME", old_->c_str(), 1) : ::unsetenv("XDG_CACHE_HOME"); }

 private:
  Scratch scratch_;
  std::optional<std::string> old_;
};

TEST_CASE("a folder of a package is a model, and what its subfolders say of it is part of it") {
  const OwnCache cache;
  const auto folder = user_cache() / "packages" / "tiny-1";
  std::filesystem::create_directories(folder / "model" / "1_Pooling");
  write_file(folder.string() + ".sha256", "abc\n");
  write_file(folder / "model" / "config.json", "{}");
  const std::string recipe = R"(
[source.tiny]
registry = "pypi"
version  = "1"
sha256   = "abc"
[stage.more]
type      = "train"
data      = "english"
objective = "masked"
stop      = "1k tokens"
model     = "package:tiny/)";
  Project p;
  const auto before = p.plan(recipe + "model\"\n");
  CHECK(setting(before, "more", "model").as<Reference>()->path == (folder / "model").string());
  write_file(folder / "model" / "1_Pooling" / "config.json", "{}");
  CHECK(node(p.plan(recipe + "model\"\n"), "more").digest != node(before, "more").digest);
  CHECK(p.codes(recipe + "none\"\n") == std::vector<std::string>{"missing-file"});
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
  const auto told = [&](ResolveOptions options) {
    options.root = p.root();
    std::string text;
    for (const auto& one : origins(p.root() / "r.toml", options, problems))
      text += one.key + " = " + one.value + "  # " + one.place + "\n";
    return text;
  };
  const auto text = told({.set = {"stage.pretrain.stop=2k tokens"}});
  CHECK(problems.text() == "");
  CHECK(text.find("optimizer.adamw.lr = 0.5  # ") != std::string::npos);
  CHECK(text.find("r.toml:4\n") != std::string::npos);
  CHECK(text.find("stage.pretrain.stop = \"2k tokens\"  # --set number 1\n") != std::string::npos);
  CHECK(text.find("objective.masked.mask_rate = 0.2  # ") != std::string::npos);
  CHECK(told({.seeds = {3}}).starts_with("seeds = [3]  # --seed\n"));
  p.put("r.toml", "recipe = 1\nextends = \"base.toml\"\n[arm.one]\n[arm.two.stage.pretrain]\nstop = \"5 steps\"\n");
  const auto two = told({.arms = {"two"}});
  CHECK(two.find("arm two: stage.pretrain.stop = \"5 steps\"  # ") != std::string::npos);
  CHECK(two.find("r.toml:5\n") != std::string::npos);
  CHECK(two.find("arm one: ") == std::string::npos);
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
  CHECK(table.at("datasets").as<Table>()->size() == 1);  // whatever the number of stages, arms and seeds
  const auto json = to_json(value);
  CHECK(json.find("\"files\"") == json.rfind("\"files\""));
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
