#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>

namespace fit_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kData = R"(
recipe  = 1
name    = "fits"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.3 }
[stage.counts]
type   = "fit"
method = { type = "skipgram", dim = 2, epochs = 1, min_count = 1, buckets = 1, min_n = 0, max_n = 0 }
)";

/// Documents of one word each, so that an artifact tells which it has seen.
std::string single_words() {
  std::string text;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'd'; ++b) text += std::string{a, b, a, b} + " " + std::string{a, b, a, b} + "\n\n";
  return text;
}

std::set<std::string> words_of(const std::string& corpus) {
  RecipeRun project;
  project.put("en.txt", single_words());
  project.run(kData + ("corpus = \"" + corpus + "\"\n"));
  const auto state = project.state("counts", "statistics");
  return {state.strings("words").begin(), state.strings("words").end()};
}

TEST_CASE("fit gives its method the training split and nothing else") {
  const auto plain = words_of("english"), named = words_of("english:train");
  CHECK(plain == named);
  CHECK(plain.size() > 35);  // half of 104 documents
  CHECK(plain.size() < 75);
}

TEST_CASE("fit refuses a split that is for measuring") {
  CHECK_THAT(
      said([] { words_of("english:test"); }),
      ContainsSubstring("stage counts: a fitted artifact sees the training split only; `corpus` names english:test"));
  CHECK_THAT(said([] { words_of("english:dev"); }), ContainsSubstring("english:dev"));
}

TEST_CASE("fit draws by its seed: the same seed gives the same artifact") {
  RecipeRun one, two;
  for (auto* project : {&one, &two}) {
    project->put("en.txt", planted_text(60));
    project->run(std::string("seeds = [4]\n") + kData + "corpus = \"english\"\n");
  }
  CHECK(one.state("counts").floats("vectors").data == two.state("counts").floats("vectors").data);
  two.run(std::string("seeds = [5]\n") + kData + "corpus = \"english\"\n");
  CHECK(two.executed == 1);
  CHECK(one.state("counts").floats("vectors").data != two.state("counts").floats("vectors").data);
}

}  // namespace fit_test
