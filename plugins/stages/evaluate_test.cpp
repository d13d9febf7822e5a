#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>

#include "base/digest.h"

namespace evaluate_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kModel = R"(
recipe  = 1
name    = "measures"
threads = 1
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.2 }
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "english"
[stage.trained]
type      = "train"
model     = { type = "transformer", kind = "decoder", layers = 2, width = 8, heads = 2, max_time = 16 }
tokenizer = "tokens"
data      = "english"
objective = { type = "causal_lm" }
batch     = { tokens = 128 }
stop      = "6 steps"
evaluate  = { every = "3 steps", with = [{ type = "bits_per_byte", data = "english:test", as = "bpb" }] }
)";

std::string measure(const std::string& name, const std::string& data, const std::string& more = {}) {
  return "[stage." + name + "]\ntype = \"evaluate\"\nmodel = \"trained\"\n" + more +
         "with = [{ type = \"bits_per_byte\", data = \"english:" + data + "\", as = \"bpb\" }]\n";
}

std::set<std::string> documents(const StageRecord& record) {
  const auto& ids = record.items.at("bpb.documents").ids;
  return {ids.begin(), ids.end()};
}

TEST_CASE("evaluate measures the named split and nothing else, and says what its numbers are") {
  RecipeRun project;
  project.put("en.txt", planted_text(50));
  project.run(kModel + measure("a", "train") + measure("b", "dev") + measure("c", "test"));
  std::set<std::string> all;
  std::size_t sum = 0;
  for (const auto& [stage, split] : {std::pair("a", "train"), std::pair("b", "dev"), std::pair("c", "test")}) {
    const auto record = project.record(stage);
    const auto ids = documents(record);
    CHECK(ids.size() > 3);
    sum += ids.size(), all.insert(ids.begin(), ids.end());
    const std::string data = "english:" + std::string(split);
    CHECK(record.finals.at("bpb.bits").what == MetricSignature{"bits/byte", {}, data, "1"});
    const auto json = project.tokenizer("tokens")->json();
    CHECK(record.finals.at("bpb.nats_per_token").what == MetricSignature{"nats/token", sha256(json), data, "1"});
    CHECK(record.curves.empty());
    double bits = 0;  // documents differ in length, so their plain mean is near, not equal
    for (const double x : record.items.at("bpb.documents").columns.at("bits")) bits += x;
    CHECK(record.finals.at("bpb.bits").value == Approx(bits / static_cast<double>(ids.size())).epsilon(0.2));
  }
  CHECK(sum == 50);
  CHECK(all.size() == 50);
  CHECK(project.record("c").finals.at("bpb.bits").value ==
        Approx(project.record("trained").curves.at("bpb.bits").points.back().value).epsilon(1e-9));
}

TEST_CASE("evaluate measures views of the model, each under its size") {
  RecipeRun project;
  project.put("en.txt", planted_text(50));
  project.run(kModel + measure("whole", "test") + measure("parts", "test", "views = [[1, 8], [2, 8], [2, 4]]\n"));
  const auto whole = project.record("whole").finals, parts = project.record("parts").finals;
  CHECK(parts.at("bpb.bits[2x8]").value == Approx(whole.at("bpb.bits").value).epsilon(1e-9));
  CHECK(parts.at("bpb.bits[1x8]").value != Approx(whole.at("bpb.bits").value).epsilon(1e-9));
  CHECK(parts.at("bpb.bits[2x4]").value != Approx(whole.at("bpb.bits").value).epsilon(1e-9));
  CHECK_FALSE(parts.contains("bpb.bits"));
  CHECK(parts.size() == 3 * whole.size());
}

TEST_CASE("evaluate says what it cannot measure") {
  RecipeRun project;
  project.put("en.txt", planted_text(50));
  CHECK_THAT(said([&] { project.run(kModel + measure("a", "test", "views = [[1]]\n")); }),
             ContainsSubstring("stage a: a view is [layers, width]"));
  CHECK_THAT(said([&] { project.run(kModel + measure("a", "test", "views = [[3, 8]]\n")); }),
             ContainsSubstring("stage a: a view of 3 layers and width 8; the model has 2 and 8"));
  const auto bare = said([&] {
    project.run(std::string(kModel) + R"([stage.a]
type  = "evaluate"
model = "trained"
with  = [{ type = "bits_per_byte", data = "english" }]
)");
  });
  CHECK_THAT(bare, ContainsSubstring("recipe.toml:") && ContainsSubstring("split"));
}

}  // namespace evaluate_test
