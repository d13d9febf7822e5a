#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace train_static_vectors_test {

using namespace xp;
using namespace xp::testing;

constexpr const char* kRecipe = R"(
recipe  = 1
name    = "vectors"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0, test = 0 }
[dataset.more]
type  = "text"
files = ["more.txt"]
split = { dev = 0, test = 0 }
[stage.one]
type   = "train_static_vectors"
corpus = ["english"]
method = { type = "skipgram", dim = 12, epochs = 4, min_count = 1, sample = 0.0, min_n = 0, max_n = 0, buckets = 1 }
[stage.both]
type   = "train_static_vectors"
corpus = ["english", "more"]
method = { type = "skipgram", dim = 12, epochs = 1, min_count = 1, buckets = 10 }
)";

double cosine(const State& state, const std::string& a, const std::string& b) {
  const auto& words = state.strings("words");
  const auto& vectors = state.floats("vectors");
  const auto width = static_cast<std::size_t>(vectors.shape.at(1));
  const auto row = [&](const std::string& word) {
    const auto found = std::find(words.begin(), words.end(), word);
    REQUIRE(found != words.end());
    return vectors.data.data() + static_cast<std::size_t>(found - words.begin()) * width;
  };
  double dot = 0, left = 0, right = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const double x = row(a)[i], y = row(b)[i];
    dot += x * y, left += x * x, right += y * y;
  }
  return dot / std::sqrt(left * right);
}

TEST_CASE("train_static_vectors: with a tokenizer its tokens are the words, by their strings") {
  RecipeRun project;
  project.put("en.txt", planted_text(200));
  project.put("more.txt", "lamp oil\n");
  project.run(std::string(kRecipe) + R"(
[stage.tokens]
type   = "train_tokenizer"
method = { type = "unigram", vocab_size = 40 }
corpus = "english"
[stage.of_tokens]
type      = "train_static_vectors"
corpus    = ["english"]
tokenizer = "tokens"
method    = { type = "skipgram", dim = 6, epochs = 1, min_count = 1, min_n = 0, max_n = 0, buckets = 1 }
)");
  const auto encoder = project.tokenizer("tokens");
  std::set<std::string> expected;
  for (const auto& token : encoder->encode("ship wave sail harbour cow field plough barn"))
    expected.insert(encoder->text(token.id));
  const auto state = project.state("of_tokens");
  const auto& words = state.strings("words");
  CHECK(std::set<std::string>(words.begin(), words.end()) == expected);
  CHECK(std::any_of(words.begin(), words.end(), [](const auto& word) { return word.starts_with("▁"); }));
}

TEST_CASE("train_static_vectors: words that share contexts lie nearer than words that do not") {
  RecipeRun project;
  project.put("en.txt", planted_text(400));
  project.put("more.txt", "lamp oil wick lamp\n\nwick oil\n");
  project.run(kRecipe);
  const auto state = project.state("one");
  const Strings sea{"ship", "wave", "sail", "harbour"}, farm{"cow", "field", "plough", "barn"};
  double least_within = 1, most_across = -1;
  for (const auto* topic : {&sea, &farm})
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < i; ++j)
        least_within = std::min(least_within, cosine(state, (*topic)[i], (*topic)[j]));
  for (const auto& a : sea)
    for (const auto& b : farm) most_across = std::max(most_across, cosine(state, a, b));
  CHECK(least_within > most_across + 0.1);
  CHECK(state.strings("words").size() == 8);
  CHECK(state.floats("vectors").shape == std::vector<std::int64_t>{8, 12});
  const auto record = project.record("one");
  CHECK(record.finals.at("words").value == 8);
  CHECK(record.finals.at("words").what.unit == "words");

  auto words = project.state("both").strings("words");  // several datasets are one corpus
  std::sort(words.begin(), words.end());
  CHECK(words == Strings{"barn", "cow", "field", "harbour", "lamp", "oil", "plough", "sail", "ship", "wave", "wick"});
}

TEST_CASE("train_static_vectors: seeds differ, the same seed does not, and a corpus without words is refused") {
  RecipeRun project, again;
  for (auto* one : {&project, &again}) one->put("en.txt", planted_text(40)), one->put("more.txt", "lamp\n");
  project.run(std::string("seeds = 2\n") + kRecipe);
  again.run(kRecipe);
  CHECK(project.state("one").floats("vectors").data == again.state("one").floats("vectors").data);
  CHECK(project.executed == 4);
  std::set<std::string> digests;
  for (const auto& node : project.plan().nodes) digests.insert(node.digest);
  CHECK(digests.size() == 4);
  std::string rare = kRecipe;
  rare.replace(rare.find("min_count = 1"), 13, "min_count = 9999");
  const auto text = said([&] { again.run(rare); });
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("stage one: ") && Catch::Matchers::ContainsSubstring("word"));
}

}  // namespace train_static_vectors_test
