#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace train_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kParts = R"(
recipe  = 1
name    = "training"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.0 }
[model.small]
type     = "transformer"
kind     = "decoder"
layers   = 1
width    = 8
heads    = 2
max_time = 16
[evaluator.dev]
type = "bits_per_byte"
data = "english:dev"
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "english"
)";

std::string train(const std::string& name, const std::string& more, const std::string& model = "small") {
  std::string out = "[stage." + name +
                    "]\ntype = \"train\"\ndata = \"english\"\nobjective = { type = \"causal_lm\" }\n"
                    "model = \"" +
                    model + "\"\n";
  if (model == "small") out += "tokenizer = \"tokens\"\n";
  return out + more + "\n";
}

struct Project : RecipeRun {
  explicit Project(const std::string& stages) {
    put("en.txt", planted_text(60));
    run(kParts + stages);
  }
};

constexpr std::int64_t kBatch = 100, kLongest = 16;  // a batch is full at once beyond kBatch tokens
const std::string kSize = "batch = { tokens = 100 }\n";

TEST_CASE("train stops at the first step that reaches its stop rule, and its counters say so") {
  const Project project(train("steps", kSize + "stop = \"7 steps\"") +
                        train("tokens_", kSize + "stop = \"1000 tokens\"") +
                        train("items", kSize + "stop = \"30 items\"") + train("bytes", kSize + "stop = \"2 kB\"") +
                        train("epochs", kSize + "stop = \"2 epochs\"") +
                        train("supervised", kSize + "stop = \"500 supervised tokens\"") +
                        train("flops", kSize + "stop = \"5e6 flops\""));
  CHECK(project.record("steps").counters.steps == 7);
  const auto at = [&](const char* stage) { return project.record(stage).counters; };
  CHECK(at("tokens_").input_tokens >= 1000);
  CHECK(at("tokens_").input_tokens < 1000 + kBatch + kLongest);
  CHECK(at("tokens_").steps <= 10);
  CHECK(at("items").items >= 30);
  CHECK(at("items").items < 30 + kBatch / 2);
  CHECK(at("bytes").bytes >= 2000);
  CHECK(at("bytes").bytes < 2000 + 8 * kBatch);
  CHECK(at("supervised").supervised_tokens >= 500);
  CHECK(at("supervised").supervised_tokens < 500 + kBatch + kLongest);
  CHECK(at("flops").flops >= 5e6);
  CHECK(at("flops").flops < 5e6 * (1 + 1.5 / static_cast<double>(at("flops").steps)));
  // Two epochs see each training document twice, whole: no batch crosses their end.
  const auto epochs = at("epochs");
  CHECK(epochs.epochs == 2);
  CHECK(epochs.items % 2 == 0);
  CHECK(epochs.bytes % 2 == 0);
  CHECK(epochs.input_tokens % 2 == 0);
  CHECK(epochs.items >= 2 * 36);
}

TEST_CASE("train records a point per step, a loss that falls, and the schedule's learning rate") {
  const Project project(train("fit", R"(batch = { items = 8 }
stop      = "60 steps"
optimizer = { type = "adamw", lr = 0.02 }
schedule  = { type = "warmup_linear", warmup = 0.5, end = 0.2 })"));
  const auto record = project.record("fit");
  const auto& loss = record.curves.at("loss");
  CHECK(loss.what == MetricSignature{"nats", {}, "english", "1"});
  REQUIRE(loss.points.size() == 60);
  for (std::size_t i = 0; i < 60; ++i) {
    CHECK(loss.points[i].at.steps == static_cast<std::int64_t>(i) + 1);
    const double p = static_cast<double>(i) / 60;  // what the step saw: the steps before it
    CHECK(record.curves.at("lr").points[i].value == Approx(0.02 * (p < 0.5 ? p / 0.5 : 0.2 + 0.8 * (1 - p) / 0.5)));
  }
  CHECK(loss.points.back().value < 0.7 * loss.points.front().value);
  CHECK(loss.points.back().at.items == 60 * 8);
  CHECK(record.finals.at("skipped_steps").value == 0);
  // Table and bias of the vocabulary, positions, a layer of attention and feed-forward, norms: counted by hand.
  const auto about = project.checkpoint("fit");
  double numbers = 0;
  for (const auto i : about.parameters.distinct()) numbers += static_cast<double>(about.parameters.values[i].numel());
  CHECK(record.finals.at("parameters").value == numbers);
}

TEST_CASE("train keeps the best checkpoint if asked to") {
  // The learning rate is so high that the model gets worse.
  const std::string rest = R"(batch = { items = 8 }
stop      = "24 steps"
optimizer = { type = "adamw", lr = 0.5 }
schedule  = { type = "constant" }
evaluate  = { every = "3 steps", with = ["dev"] }
)";
  const std::string measured = "type = \"evaluate\"\nwith = [\"dev\"]\n";
  const Project project(
      train("last", rest) + train("best", rest + "keep = { best = 1, by = \"dev.bits\", higher = false }") +
      "[stage.of_last]\nmodel = \"last\"\n" + measured + "[stage.of_best]\nmodel = \"best\"\n" + measured);
  const auto curve = project.record("best").curves.at("dev.bits").points;
  REQUIRE(curve.size() == 9);  // the start, and every third step
  double least = curve.front().value;
  for (const auto& point : curve) least = std::min(least, point.value);
  CHECK(least < curve.back().value);
  CHECK(project.record("of_best").finals.at("dev.bits").value == Approx(least).epsilon(1e-6));
  CHECK(project.record("of_last").finals.at("dev.bits").value == Approx(curve.back().value).epsilon(1e-6));
}

TEST_CASE("train goes on from a checkpoint with its tokenizer, and mixes data by weight") {
  RecipeRun project;
  project.put("en.txt", planted_text(60)), project.put("other.txt", planted_text(60, 9));
  project.run(kParts + train("first", kSize + "stop = \"20 steps\"") +
              train("more", kSize + "stop = \"1 steps\"", "first") +
              R"([dataset.other]
type  = "text"
files = ["other.txt"]
[stage.mixed]
type      = "train"
model     = "first"
objective = { type = "causal_lm" }
data      = [{ dataset = "english", weight = 3 }, { dataset = "other:train" }]
stop      = "40 steps"
batch     = { tokens = 100 }
)");
  const auto first = project.record("first").curves.at("loss").points,
             more = project.record("more").curves.at("loss").points;
  CHECK(more.front().value < first.front().value);
  CHECK(project.tokenizer("more")->json() == project.tokenizer("tokens")->json());
  CHECK(project.record("mixed").counters.steps == 40);
}

TEST_CASE("train says what is wrong before it trains") {
  const auto fails = [](const std::string& stages) { return said([&] { Project{stages}; }); };
  CHECK_THAT(fails(train("a", "stop = \"1 steps\"\nbatch = { length = 17 }")),
             ContainsSubstring("stage a: batch length 17 is beyond the 16 tokens that the model takes"));
  CHECK_THAT(fails(train("a",
                         "stop = \"1 steps\"\nevaluate = { every = \"1 steps\", with = [\"dev\"] }\nkeep = { best = "
                         "1, by = \"dev.accuracy\" }")),
             ContainsSubstring("dev.accuracy"));
  CHECK_THAT(
      fails(train("a",
                  "stop = \"1 steps\"\nkeep_state = true\nevaluate = { every = \"1 steps\", with = [\"dev\"] }\n"
                  "keep = { best = 1, by = \"dev.bits\" }")),
      ContainsSubstring("`keep_state` keeps the optimizer's moments of the last step"));
  CHECK_THAT(fails(train("a", "stop = \"10%\"")), ContainsSubstring("recipe.toml:") && ContainsSubstring("steps"));
  CHECK_THAT(fails(train("a", "stop = \"1 steps\"\nclip = -1")),
             ContainsSubstring("clip") && ContainsSubstring("recipe.toml:"));
  auto weights = train("a", "stop = \"1 steps\"");
  weights.replace(weights.find("\"english\""), 9, "[{ dataset = \"english\", weight = 0 }]");
  CHECK_THAT(fails(weights),
             ContainsSubstring("data english has the weight 0") && ContainsSubstring("weights are above 0"));
}

}  // namespace train_test
