#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>

#include "testing/tokenizer_checks.h"

namespace train_tokenizer_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kData = R"(
recipe  = 1
name    = "tokenizers"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.1, test = 0.3 }
)";

std::string stage(const std::string& name, const std::string& more) {
  return "[stage." + name + "]\ntype = \"train_tokenizer\"\ncorpus = \"english\"\n" + more + "\n";
}

TEST_CASE("train_tokenizer reaches its size, reserves what was asked for, and says bytes per token of its corpus") {
  RecipeRun project;
  std::string text;
  for (const auto& one : shipped_text({"udhr/en"}, 20000)) text += one + "\n\n";
  project.put("en.txt", text);
  project.run(std::string("seeds = 2\n") + kData +
              stage("pieces", "method = { type = \"wordpiece\", vocab_size = 150 }\nreserve = { sentinel = 3 }") +
              stage("units", "method = { type = \"unigram\", vocab_size = 120 }") +
              stage("everything", "method = { type = \"bpe\", vocab_size = 300 }"));
  for (const auto& [name, size] : {std::pair("pieces", 150), std::pair("units", 120), std::pair("everything", 300)}) {
    const auto record = project.record(name);
    CHECK(project.tokenizer(name)->size() == size);
    CHECK(record.finals.at("size").value == size);
    CHECK(record.finals.at("size").what.unit == "tokens");
    CHECK(record.finals.at("bytes_per_token").what == MetricSignature{"bytes/token", {}, "english", {}});
  }
  const auto encoder = project.tokenizer("pieces");
  std::set<TokenId> sentinels;
  for (int i = 0; i < 3; ++i) sentinels.insert(encoder->reserved("sentinel", i).value());
  CHECK(sentinels.size() == 3);
  CHECK_FALSE(encoder->reserved("sentinel", 3));
  CHECK_FALSE(project.tokenizer("units")->reserved("sentinel"));
  CHECK(project.executed == 3);  // two seeds share them: fitting draws nothing
}

TEST_CASE("train_tokenizer learns from the training split alone") {
  RecipeRun project;
  std::string text;
  for (int i = 0; i < 60; ++i)
    text += "::id " + std::to_string(i) + "\nq" + std::string(3, static_cast<char>('a' + i % 26)) +
            std::to_string(i) + " word\n\n";
  project.put("en.txt", text);
  project.run(
      std::string(kData) + stage("pieces", "method = { type = \"wordpiece\", vocab_size = 400, min_count = 1 }") +
      "[stage.vectors]\ntype = \"train_static_vectors\"\ncorpus = [\"english\"]\n"
      "method = { type = \"skipgram\", dim = 2, epochs = 1, min_count = 1, buckets = 1, min_n = 0, max_n = 0 }\n");
  const auto encoder = project.tokenizer("pieces");
  const auto state = project.state("vectors");
  const std::set<std::string> trained(state.strings("words").begin(), state.strings("words").end());
  double bytes = 0, tokens = 0;
  int whole = 0, left = 0;
  for (int i = 0; i < 60; ++i) {
    const auto word = "q" + std::string(3, static_cast<char>('a' + i % 26)) + std::to_string(i);
    const auto n = encoder->encode(word).size();
    if (trained.contains(word)) {
      CHECK(n == 1);  // room for every word that was seen
      ++whole, bytes += static_cast<double>(word.size()) + 5, tokens += 2;
    } else {
      left += n > 1 || encoder->encode(word)[0].id == encoder->reserved("unk");
    }
  }
  CHECK(whole > 20);
  CHECK(left == 60 - whole);
  CHECK(left > 5);
  CHECK(project.record("pieces").finals.at("bytes_per_token").value == Approx(bytes / tokens));
}

TEST_CASE("train_tokenizer says what it cannot do") {
  RecipeRun project;
  project.put("en.txt", planted_text(20));
  const auto none = said([&] {
    project.run(std::string(kData) +
                stage("pieces", "method = { type = \"wordpiece\" }\nreserve = { sentinel = 0 }"));
  });
  CHECK_THAT(none, ContainsSubstring("stage pieces: reserve.sentinel wants a whole number above 0"));
  const auto small = said([&] {
    project.run(std::string(kData) + stage("pieces", "method = { type = \"wordpiece\", vocab_size = 3 }"));
  });
  CHECK_THAT(small, ContainsSubstring("vocab_size") && ContainsSubstring("recipe.toml:"));
}

}  // namespace train_tokenizer_test
