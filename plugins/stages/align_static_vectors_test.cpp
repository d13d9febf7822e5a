#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cmath>

namespace align_static_vectors_test {

using namespace xp;
using namespace xp::testing;

// Text of the same topics in other words, drawn anew: its space is a turned one.
constexpr const char* kRecipe = R"(
recipe  = 1
name    = "align"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0, test = 0 }
[dataset.french]
type  = "text"
files = ["fr.txt"]
split = { dev = 0, test = 0 }
[dataset.parallel]
type  = "aligned_text"
files = ["pairs/en.txt", "pairs/fr.txt"]
held_out = 0.0
[stage.en]
type   = "train_static_vectors"
corpus = ["english"]
method = { type = "skipgram", dim = 6, epochs = 6, min_count = 1, sample = 0.0, min_n = 0, max_n = 0, buckets = 1 }
[stage.fr]
type   = "train_static_vectors"
corpus = ["french"]
method = { type = "skipgram", dim = 6, epochs = 6, min_count = 1, sample = 0.0, min_n = 0, max_n = 0, buckets = 1 }
[stage.words]
type   = "fit"
corpus = "parallel:train"
method = { type = "word_alignment", source = "fr", target = "en" }
[stage.turned]
type       = "align_static_vectors"
source     = "fr"
target     = "en"
dictionary = "words"
[stage.apart]
type       = "align_static_vectors"
source     = "fr"
target     = "en"
dictionary = "words"
align      = "none"
)";

std::string french(std::string text) {
  const std::vector<std::pair<std::string, std::string>> words{
      {"ship", "navire"}, {"wave", "vague"},  {"sail", "voile"},     {"harbour", "port"},
      {"cow", "vache"},   {"field", "champ"}, {"plough", "charrue"}, {"barn", "grange"}};
  for (const auto& [from, to] : words)
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  return text;
}

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
  for (std::size_t i = 0; i < width; ++i)
    dot += row(a)[i] * row(b)[i], left += row(a)[i] * row(a)[i], right += row(b)[i] * row(b)[i];
  return dot / std::sqrt(left * right);
}

void put_texts(RecipeRun& project) {
  const auto text = planted_text(400);
  project.put("en.txt", text), project.put("fr.txt", french(planted_text(400, 9)));
  std::string english, other;
  int line = 0;
  for (const auto* words : {"ship wave", "sail harbour", "cow field", "plough barn", "wave sail", "field plough",
                            "harbour ship", "barn cow"}) {
    english += "k" + std::to_string(line) + "\t" + words + "\n";
    other += "k" + std::to_string(line++) + "\t" + french(words) + "\n";
  }
  project.put("pairs/en.txt", english), project.put("pairs/fr.txt", other);
}

TEST_CASE("align_static_vectors brings translations of two spaces together, within which nothing moves") {
  RecipeRun project;
  put_texts(project);
  project.run(kRecipe);
  const auto turned = project.state("turned"), apart = project.state("apart"), alone = project.state("fr");
  CHECK(turned.strings("words").size() == 16);
  CHECK(turned.floats("vectors").shape == std::vector<std::int64_t>{16, 6});
  const Strings sea{"navire", "vague", "voile", "port"};
  for (const auto& word : sea) {
    CHECK(cosine(turned, word, "ship") > cosine(turned, word, "cow") + 0.2);
    CHECK(cosine(turned, word, "vache") == Catch::Approx(cosine(alone, word, "vache")).margin(1e-5));
  }
  const auto mean = [&](const char* stage) { return project.record(stage).finals.at("cosine").value; };
  CHECK(mean("turned") > mean("apart") + 0.2);
  CHECK(mean("turned") > 0.8);
  CHECK(project.record("turned").finals.at("pairs").value == 8);
  CHECK(project.record("turned").finals.at("words").value == 16);
}

TEST_CASE("align_static_vectors: no translations and other widths are errors that say what helps") {
  RecipeRun project;
  put_texts(project);
  std::string recipe = kRecipe;
  const auto without = recipe.find("dictionary = \"words\"\n");
  auto bare = recipe;
  bare.erase(without, std::string("dictionary = \"words\"\n").size());
  CHECK_THAT(said([&] { project.run(bare); }), Catch::Matchers::ContainsSubstring("give a `dictionary`"));
  auto wide = recipe;
  wide.replace(wide.rfind("dim = 6"), 7, "dim = 5");
  CHECK_THAT(said([&] { project.run(wide); }), Catch::Matchers::ContainsSubstring("dimension 5 and `target` of 6"));
}

TEST_CASE("align_static_vectors: a word of both languages anchors the spaces and gets one vector") {
  RecipeRun project;
  put_texts(project);
  project.put("fr.txt", planted_text(400, 4));
  std::string recipe = kRecipe;
  for (auto at = recipe.find("dictionary = \"words\"\n"); at != std::string::npos;
       at = recipe.find("dictionary = \"words\"\n"))
    recipe.erase(at, std::string("dictionary = \"words\"\n").size());
  project.run(recipe);
  const auto turned = project.state("turned"), en = project.state("en"), fr = project.state("fr");
  CHECK(turned.strings("words") == en.strings("words"));
  CHECK(turned.ints("counts").data.front() > en.ints("counts").data.front());
  CHECK(project.record("turned").finals.at("pairs").value == 8);
}

}  // namespace align_static_vectors_test
