// What two results differ in, from files that the library wrote.
#include "results/difference.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "base/text.h"
#include "support.h"

namespace {

using namespace xp;
using namespace xp::test;

// A stage of the plan, its settings, and the number that it records.
struct PlannedStage {
  std::string name;
  Table settings;
  double accuracy = 0;       ///< 0: it records none
  std::string library = {};  ///< what the digest counts beside the settings
  std::int64_t draws = -1;   ///< seed of a stage that draws
};

Value of_node(const std::string& name) {
  return Table{{"reference", name}, {"kind", "checkpoint"}, {"node", name}, {"digest", digest_of(name)}};
}

Value english(const std::string& sha256, const std::string& path = "/data/en.txt", int threads = 1) {
  const Table file{{"path", path}, {"name", "en.txt"}, {"sha256", sha256}};
  return Table{{"reference", "english:train"},
               {"kind", "dataset"},
               {"split", "train"},
               {"digest", digest_of(sha256)},
               {"component", Table{{"type", "text"}, {"files", List{file}}, {"threads", threads}}}};
}

// Plans hold each dataset once, under its digest; those of before held it in every reference.
Value datasets_beside(const Value& value, Table& datasets) {
  const auto* table = value.as<Table>();
  if (!table) return value;
  Table out;
  for (const auto& [key, one] : *table)
    if (key == "component")
      datasets.insert_or_assign(*table->at("digest").as<std::string>(), one);
    else
      out.emplace(key, datasets_beside(one, datasets));
  return out;
}

// Writes a result whose stages stand in the order of their inputs; a digest is of the settings, library and inputs.
class Written {
 public:
  explicit Written(const Scratch& scratch, std::string recipe = "trial")
      : folder_(scratch.path()), recipe_(std::move(recipe)), cache_(folder_) {}

  Attributes attributes = {{"command", "xp run r.toml"}, {"precision", "float32"}};
  Table plan = {{"name", "trial"}, {"summary", "a trial"}};
  bool datasets_inside = false;

  Written& member(const std::string& arm, std::int64_t seed, const std::vector<PlannedStage>& stages) {
    Table digests;
    std::string all;
    for (const auto& stage : stages) {
      Table settings = stage.settings;
      settings.erase("threads");  // what components declare as .no_result()
      all +=
          to_text(Value(settings)) + stage.library + "/" + std::to_string(seed) + "/" + std::to_string(stage.draws);
      const auto digest = digest_of(all);
      digests[stage.name] = digest;
      Table node{{"name", stage.name}, {"type", "made_up"}, {"settings", Value(stage.settings)}};
      if (stage.draws >= 0) node["seed"] = stage.draws;
      nodes_[digest] = std::move(node);
      record(digest, stage.accuracy);
      digests_.push_back(digest);
    }
    if (arms_.empty() || *arms_.back().as<Table>()->at("name").as<std::string>() != arm)
      arms_.push_back(Table{{"name", arm}, {"label", arm}});
    members_.push_back(Table{{"arm", arm}, {"seed", seed}, {"stages", Value(digests)}});
    return *this;
  }

  std::unique_ptr<Result> result() {
    Table datasets;
    plan["arms"] = arms_, plan["members"] = members_;
    plan["nodes"] = datasets_inside ? Value(nodes_) : datasets_beside(Value(nodes_), datasets);
    if (!datasets_inside) plan["datasets"] = datasets;
    plan.try_emplace("plan_id", digest_of(to_text(Value(members_))));
    RunLog run(folder_, recipe_, new_run_id(), attributes, Value(plan));
    for (const auto& digest : digests_) run.stage(digest, "done");
    return read_result(run.close("done", cache_));
  }

 private:
  void record(const std::string& digest, double accuracy) {
    const auto lease = cache_.claim(digest);
    if (!lease) return;
    {
      JournalRecorder to(lease->work() / "record.journal");
      if (accuracy > 0) to.metric("task.accuracy", accuracy, {"share", "", "pairs:test", "1"});
    }
    lease->commit({});
  }

  fs::path folder_;
  std::string recipe_;
  Cache cache_;
  Table nodes_;
  List arms_, members_;
  std::vector<std::string> digests_;
};

std::vector<PlannedStage> chain(double lr, double accuracy, const std::string& data = "aaaa") {
  return {
      {"tokens", Table{{"corpus", english(data)}, {"vocab_size", 200}}},
      {"pretrain",
       Table{{"tokenizer", of_node("tokens")}, {"optimizer", Table{{"lr", lr}, {"type", "adamw"}}}, {"threads", 4}}},
      {"score", Table{{"model", of_node("pretrain")}}, accuracy}};
}

Table without_threads(std::string_view interface, const Table& settings) {
  REQUIRE((interface == "stage" || interface == "dataset"));
  Table out = settings;
  out.erase("threads");
  return out;
}

Difference between(const Result& a, const Result& b, const std::vector<std::string>& metrics = {}) {
  return difference_of(side_of(a), side_of(b), without_threads, metrics);
}

const Change* change(const std::vector<Change>& of, const std::string& key) {
  for (const auto& one : of)
    if (one.key == key) return &one;
  return nullptr;
}

TEST_CASE("a result is the same experiment as itself, and as another run of it elsewhere") {
  const Scratch here, there;
  Written first(here), second(there);
  const auto a = first.member("ofa", 0, chain(0.1, 0.5)).result();
  second.attributes["command"] = "xp run r.toml -q", second.attributes["build"] = "newer";
  second.plan["summary"] = "another word";
  auto stages = chain(0.1, 0.5);
  stages[1].settings["threads"] = 8;
  const auto b = second.member("ofa", 0, stages).result();
  auto found = between(*a, *a);
  CHECK(found.same);
  CHECK((found.can.empty() && found.cannot.empty() && found.stages.empty()));
  CHECK(to_text(found).find("same experiment\n") != std::string::npos);

  found = between(*a, *b);
  CHECK(found.same);
  CHECK(found.can.empty());
  REQUIRE(change(found.cannot, "stage.pretrain.threads"));
  CHECK(change(found.cannot, "stage.pretrain.threads")->after == "8");
  CHECK(change(found.cannot, "command")->before == "xp run r.toml");
  CHECK(change(found.cannot, "build"));  // what made the same stages did not change them
  CHECK(change(found.cannot, "summary"));
  REQUIRE(found.numbers.size() == 1);
  CHECK(found.numbers[0].equal);
  CHECK(to_text(found).find("1 number is equal to the last bit") != std::string::npos);
}

TEST_CASE("a setting is named with both values and arms, and what follows from it") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  for (const std::int64_t seed : {0, 1}) {
    first.member("ofa", seed, chain(0.1, 0.5 + 0.01 * static_cast<double>(seed)));
    second.member("ofa", seed, chain(0.2, 0.7 + 0.02 * static_cast<double>(seed)));
  }
  for (auto* one : {&first, &second}) one->member("random", 0, chain(0.3, 0.1)).member("random", 1, chain(0.3, 0.1));
  const auto a = first.result(), b = second.result();
  const auto found = between(*a, *b);
  CHECK_FALSE(found.same);
  REQUIRE(found.can.size() == 1);
  CHECK(found.can[0].part == "settings");
  CHECK(found.can[0].key == "stage.pretrain.optimizer.lr");
  CHECK(found.can[0].before == "0.1");
  CHECK(found.can[0].after == "0.2");
  CHECK(found.can[0].arms == std::vector<std::string>{"ofa"});
  REQUIRE(found.stages.size() == 2);
  CHECK(found.stages[0].stage == "pretrain");
  CHECK(found.stages[0].first);
  CHECK(found.stages[0].own == std::vector<std::string>{"optimizer.lr"});
  CHECK(found.stages[1].stage == "score");
  CHECK_FALSE(found.stages[1].first);
  CHECK(found.stages[1].inputs == std::vector<std::string>{"pretrain"});
  REQUIRE(found.numbers.size() == 2);
  const auto& ofa = found.numbers[0];
  CHECK(std::abs(ofa.difference - 0.205) < 1e-12);
  REQUIRE(ofa.p);
  CHECK(*ofa.p == 0.5);  // two pairs: 2/4
  CHECK(found.numbers[1].equal);
  const auto text = to_text(found);
  CHECK(text.find("stage.pretrain.optimizer.lr  0.1 → 0.2  (ofa)") != std::string::npos);
  CHECK(text.find("pretrain  begins here: its own optimizer.lr  (ofa)") != std::string::npos);
  CHECK(text.find("score     follows: its input pretrain        (ofa)") != std::string::npos);
  const auto json = to_value(found);
  CHECK(json.as<Table>()->at("same") == Value(false));
  CHECK(find(*json.as<Table>(), "stages[0].first")->as<bool>());
}

TEST_CASE("one seed of several is named; data and libraries are causes") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  first.datasets_inside = true;
  for (const std::int64_t seed : {0, 1}) {
    first.member("ofa", seed, chain(0.1, 0.5));
    second.member("ofa", seed, chain(0.1, 0.5, seed == 1 ? "bbbb" : "aaaa"));
  }
  auto a = first.result(), b = second.result();
  auto found = between(*a, *b);
  REQUIRE(change(found.can, "dataset.english.files"));
  CHECK(change(found.can, "dataset.english.files")->part == "data");
  CHECK(change(found.can, "dataset.english.files")->before == "[en.txt @aaaa]");
  CHECK(change(found.can, "dataset.english.files")->arms == std::vector<std::string>{"ofa, seed 1"});
  REQUIRE(found.stages.size() == 3);
  CHECK(found.stages[0].own == std::vector<std::string>{"dataset.english.files"});

  Written third(scratch, "rebuilt");
  third.attributes["plugins"] = "ofa " + digest_of("new") + "\nwordpiece " + digest_of("same");
  third.attributes["precision"] = "bfloat16";
  first.attributes["plugins"] = "ofa " + digest_of("old") + "\nwordpiece " + digest_of("same");
  first.plan["plan_id"] = "p", third.plan["plan_id"] = "p";
  for (const std::int64_t seed : {0, 1}) {
    auto stages = chain(0.1, 0.5);
    stages[1].library = "rebuilt";
    third.member("ofa", seed, stages);
  }
  a = first.result(), b = third.result();
  found = between(*a, *b);
  CHECK(found.same_plan);
  CHECK_FALSE(found.same);
  REQUIRE(change(found.can, "ofa"));
  CHECK(change(found.can, "ofa")->part == "plugins");
  CHECK_FALSE(change(found.can, "wordpiece"));
  CHECK(change(found.can, "precision"));
  REQUIRE(found.stages.size() == 2);
  CHECK(found.stages[0].own == std::vector<std::string>{"plugin ofa", "precision"});
  CHECK(to_text(found).find("same recipe and data, other binaries") != std::string::npos);
}

TEST_CASE("many files are told apart by one digest") {
  const Scratch scratch;
  const auto with_files = [&](const std::string& recipe, const std::string& last) {
    List files;
    for (int i = 0; i < 1000; ++i)
      files.push_back(Table{{"path", "/data/" + std::to_string(i)},
                            {"name", std::to_string(i)},
                            {"sha256", i == 999 ? last : digest_of("one")}});
    auto corpus = english(digest_of(last));
    corpus.as<Table>()->at("component").as<Table>()->at("files") = files;
    auto stages = chain(0.1, 0.5);
    stages[0].settings["corpus"] = corpus;
    return Written(scratch, recipe).member("ofa", 0, stages).result();
  };
  const auto found = between(*with_files("trial", digest_of("x")), *with_files("changed", digest_of("y")));
  REQUIRE(change(found.can, "dataset.english.files"));
  const auto& files = *change(found.can, "dataset.english.files");
  CHECK(files.before.starts_with("1000 files @"));
  CHECK(files.after.starts_with("1000 files @"));
  CHECK(files.before != files.after);
}

TEST_CASE("a stage's own seed is a setting") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  auto stages = chain(0.1, 0.5);
  stages[1].draws = 0;
  const auto a = first.member("ofa", 0, stages).result();
  stages[1].draws = 7;
  const auto b = second.member("ofa", 0, stages).result();
  const auto found = between(*a, *b);
  REQUIRE(change(found.can, "stage.pretrain.seed"));
  CHECK(change(found.can, "stage.pretrain.seed")->after == "7");
  CHECK(change(found.can, "stage.pretrain.seed")->arms.empty());  // it holds for all there are
  REQUIRE(found.stages.size() == 2);
  CHECK(found.stages[0].own == std::vector<std::string>{"seed"});
}

TEST_CASE("without manifests every setting counts; a path of a file never does") {
  const Scratch here, there;
  Written first(here), second(there);
  auto stages = chain(0.1, 0.5);
  const auto a = first.member("ofa", 0, stages).result();
  stages[0].settings["corpus"] = english("aaaa", "/elsewhere/en.txt", 2);
  stages[1].settings["threads"] = 8;
  stages[1].library = "rebuilt";
  const auto b = second.member("ofa", 0, stages).result();
  CHECK(change(difference_of(side_of(*a), side_of(*b)).can, "stage.pretrain.threads"));
  const auto found = between(*a, *b);
  CHECK_FALSE(change(found.can, "stage.pretrain.threads"));
  CHECK(change(found.cannot, "stage.pretrain.threads"));
  CHECK_FALSE(change(found.can, "dataset.english.files"));
  CHECK_FALSE(change(found.can, "dataset.english.threads"));
  CHECK(change(found.cannot, "dataset.english.threads")->part == "data");
}

TEST_CASE("arms, seeds and stages of one side only, and numbers that do not compare") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  first.member("ofa", 0, chain(0.1, 0.5)).member("ofa", 1, chain(0.1, 0.6)).member("gone", 0, chain(0.9, 0.5));
  auto more = chain(0.1, 0.5);
  more.push_back({"extra", Table{{"model", of_node("pretrain")}}, 0.25});
  second.member("ofa", 0, more);
  const auto a = first.result(), b = second.result();
  const auto found = between(*a, *b, {"score.task.accuracy", "extra.task.accuracy"});
  CHECK(change(found.can, "arm gone")->after.empty());
  CHECK(change(found.can, "seeds of ofa")->before == "0 1");
  CHECK(change(found.can, "seeds of ofa")->after == "0");
  CHECK(change(found.can, "stage extra")->before.empty());
  REQUIRE(found.numbers.size() == 2);
  CHECK(found.numbers[0].before.n == 2);
  CHECK(found.numbers[0].after.n == 1);
  CHECK_FALSE(found.numbers[0].p);
  CHECK(found.numbers[1].before.n == 0);
  CHECK(std::isnan(found.numbers[1].difference));
  CHECK(found.numbers[1].why == "stage `extra` has no record here; stages are `pretrain`, `score` and `tokens`");
  CHECK_THROWS_AS(between(*a, *b, {"score..x"}), Error);
}

TEST_CASE("long values are shown from a little before where they part") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  const std::string front = "xp run " + std::string(80, 'r') + "ü.toml";
  first.attributes["command"] = front, second.attributes["command"] = front + " --seed 1";
  const auto a = first.member("ofa", 0, chain(0.1, 0.5)).result(),
             b = second.member("ofa", 0, chain(0.1, 0.5)).result();
  const auto text = to_text(between(*a, *b));
  CHECK(text.find("command  …rrrrrü.toml → …rrrrrü.toml --seed 1\n") != std::string::npos);
}

TEST_CASE("nothing of a file reaches the terminal raw, and circles in a plan end") {
  const Scratch scratch;
  Written first(scratch), second(scratch, "changed");
  const auto stages = [](const std::string& text) {
    return std::vector<PlannedStage>{{"a", Table{{"x", of_node("b")}, {"note", text}}},
                                     {"b", Table{{"x", of_node("a")}, {"y", of_node("b")}, {"note", text}}}};
  };
  first.attributes["command"] = "\x1b[2J";
  first.plan["summary"] = "\x1b]0;title\x07";
  const auto a = first.member("\x1b[1m", 0, stages("\x1b[31m")).result();
  const auto b = second.member("\x1b[1m", 0, stages("plain")).result();
  const auto text = to_text(between(*a, *b), true);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\x07') == std::string::npos);
  CHECK(text.find("stage.a.note") != std::string::npos);
}

}  // namespace
