#include "kit/torch_operators.h"
#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace transform_checkpoint_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kTrained = R"(
recipe  = 1
name    = "combined"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "english"
[stage.base]
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32, norm_position = "pre" }
tokenizer = "tokens"
data      = "english"
objective = { type = "mlm" }
stop      = "2 steps"
[stage.a]
type      = "train"
model     = "base"
data      = "english"
objective = { type = "mlm", mask_rate = 0.3 }
stop      = "3 steps"
[stage.b]
type      = "train"
model     = "base"
data      = "english"
objective = { type = "mlm", mask_rate = 0.5 }
stop      = "3 steps"
[stage.joined]
type  = "transform_checkpoint"
)";

void run(RecipeRun& project, const std::string& joined) {
  project.put("en.txt", planted_text(60));
  project.run(kTrained + joined);
}

TEST_CASE("the stage writes what its method makes of the checkpoints, with their tokenizer") {
  RecipeRun project;
  run(project, "model = [\"a\", \"b\"]\nmethod = { type = \"linear_merge\" }\n");
  const auto a = project.checkpoint("a"), b = project.checkpoint("b"), joined = project.checkpoint("joined");
  REQUIRE(joined.parameters.size() == a.parameters.size());
  for (Param i = 0; i < joined.parameters.size(); ++i) {
    INFO(joined.parameters.info[i].name);
    CHECK(joined.parameters.values[i].allclose((a.parameters.values[i] + b.parameters.values[i]) / 2, 1e-6, 1e-7));
  }
  CHECK(project.tokenizer("joined")->json() == project.tokenizer("a")->json());
}

TEST_CASE("methods that look at changes get what all started from") {
  RecipeRun project;
  run(project, "model = \"a\"\nfrom = \"base\"\nmethod = { type = \"task_vector\", scales = [0.0] }\n");
  const auto base = project.checkpoint("base"), joined = project.checkpoint("joined");
  for (Param i = 0; i < joined.parameters.size(); ++i)
    CHECK(joined.parameters.values[i].equal(base.parameters.values[i]));
}

TEST_CASE("a model without a method stays as it is, and takes a tokenizer that fits its table") {
  constexpr const char* kOthers = R"([stage.fewer]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 40, min_count = 1 }
corpus = "english"
[stage.more]
type   = "train_tokenizer"
method = { type = "bpe", vocab_size = 300 }
corpus = "english"
)";
  RecipeRun project;
  run(project, std::string("model = \"a\"\ntokenizer = \"fewer\"\n") + kOthers);
  const auto a = project.checkpoint("a"), joined = project.checkpoint("joined");
  REQUIRE(joined.parameters.size() == a.parameters.size());
  for (Param i = 0; i < joined.parameters.size(); ++i)
    CHECK(joined.parameters.values[i].equal(a.parameters.values[i]));
  CHECK(project.tokenizer("joined")->json() == project.tokenizer("fewer")->json());
  RecipeRun other;
  CHECK_THAT(said([&] { run(other, std::string("model = \"a\"\ntokenizer = \"more\"\n") + kOthers); }),
             ContainsSubstring("tokens, the model a table of 54 rows"));
  RecipeRun several;
  CHECK_THAT(said([&] { run(several, "model = [\"a\", \"b\"]\n"); }), ContainsSubstring("need a `method`"));
}

TEST_CASE("a method that misses its base says so with the stage's name") {
  RecipeRun project;
  CHECK_THAT(said([&] { run(project, "model = \"a\"\nmethod = { type = \"slerp\" }\n"); }),
             ContainsSubstring("stage joined: `slerp` needs `from`"));
}

}  // namespace transform_checkpoint_test
