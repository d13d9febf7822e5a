#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "testing/torch_recipe_run.h"

namespace identifier_denoise_recipe_test {

namespace testing = xp::testing;

TEST_CASE("identifier_denoise runs from a recipe over words and over annotations, and both inputs fit the model") {
  const bool marked = GENERATE(true, false);
  testing::RecipeRun project;
  std::string lines;
  for (int i = 0; i < 30; ++i)
    for (const char* line : {"def O", "scale B-name", "( O", "value B-name", ") O", "return O", "value B-name", ""})
      lines += line + std::string("\n");
  if (marked)
    project.put("code.txt", lines);
  else
    project.put("code.txt", testing::planted_text(20, 1, 60));
  project.run(R"(
recipe  = 1
name    = "mip"
threads = 1
[dataset.code]
files = ["code.txt"]
split = { dev = 0.2, test = 0.0 }
type  = )" + std::string(marked ? "\"conll\"\nspans = \"identifier\"" : "\"text\"") +
              R"(
[model.small]
type           = "transformer"
kind           = "encoder_decoder"
layers         = 1
decoder_layers = 1
width          = 8
heads          = 2
max_time       = 16
[stage.tokens]
type    = "train_tokenizer"
method  = { type = "bpe", vocab_size = 400 }
corpus  = "code"
reserve = { sentinel = 100 }
[stage.pretrain]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "code"
batch     = { tokens = 200 }
stop      = "5 steps"
objective = { type = "identifier_denoise", identifiers = )" +
              (marked ? "\"marked\"" : "\"words\"") + " }\n");
  const auto counters = project.record("pretrain").counters;
  CHECK(counters.steps == 5);
  CHECK(counters.supervised_tokens > 0);
}

}  // namespace identifier_denoise_recipe_test
