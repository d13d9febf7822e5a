#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace store_predictions_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kTeacher = R"(
recipe  = 1
name    = "distilled"
threads = 1
[dataset.reviews]
type   = "labelled_text"
files  = ["reviews.csv"]
header = ["label", "text"]
split  = { dev = 0.2, test = 0.2 }
[model.small]
type = "transformer"
layers = 1
width = 16
heads = 2
max_time = 32
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "reviews"
[stage.trained]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "reviews:train"
objective = { type = "classification" }
optimizer = { type = "adamw", lr = 1e-2 }
batch     = { items = 8 }
stop      = "12 steps"
[stage.said]
type  = "store_predictions"
model = "trained"
data  = "reviews:train"
)";

std::string student(const std::string& name, const std::string& reference, const std::string& more = {}) {
  return "[stage." + name +
         "]\ntype = \"train\"\nmodel = \"small\"\ntokenizer = \"tokens\"\ndata = \"reviews:train\"\n"
         "objective = { type = \"classification\", targets = \"reference\", temperature = 2.0 }\n"
         "batch = { items = 8 }\nstop = \"5 steps\"\nreferences = { teacher = \"" +
         reference + "\" }\n" + more;
}

std::string reviews() {
  std::string out;
  for (int i = 0; i < 60; ++i)
    out += std::string(i % 2 ? "good" : "bad") + "," + (i % 2 ? "fine film number " : "poor film number ") +
           std::string(1, static_cast<char>('a' + i % 20)) + " of " +
           std::string(1, static_cast<char>('a' + i / 20)) + "\n";
  return out;
}

TEST_CASE("store_predictions keeps the scores of every document of the split, with its classes") {
  RecipeRun project;
  project.put("reviews.csv", reviews());
  project.run(kTeacher);
  const auto said = project.state("said");
  const auto& field = said.child("label");
  const auto& scores = field.tensor("scores");
  CHECK(field.strings("classes") == Strings{"bad", "good"});
  CHECK(scores.size(0) == std::ssize(field.strings("id")));
  CHECK(scores.size(0) > 20);
  const auto record = project.record("said");
  CHECK(record.finals.at("documents").value == static_cast<double>(scores.size(0)));
  const auto sure = std::get<0>(scores.softmax(-1).max(-1)).mean().item<double>();
  CHECK(record.finals.at("confidence").value == Approx(sure));
}

TEST_CASE("a live teacher and its stored predictions train the same student") {
  RecipeRun project;
  project.put("reviews.csv", reviews());
  project.run(kTeacher + student("live", "trained") + student("stored", "said"));
  const auto live = project.checkpoint("live"), stored = project.checkpoint("stored");
  for (Param i = 0; i < live.parameters.size(); ++i) {
    INFO(live.parameters.info[i].name);
    CHECK(live.parameters.values[i].allclose(stored.parameters.values[i], 1e-5, 1e-6));
  }
  CHECK(live.categories.at("label") == Strings{"bad", "good"});
  const auto a = project.record("live"), b = project.record("stored");
  CHECK(a.curves.at("loss").points.back().value == Approx(b.curves.at("loss").points.back().value).epsilon(1e-5));
  CHECK(a.counters.flops > b.counters.flops);  // the teacher's passes are counted where they run
}

TEST_CASE("a stage without a head predicts nothing; documents must have been predicted") {
  RecipeRun project;
  project.put("reviews.csv", reviews());
  const std::string masked =
      "[stage.masked]\ntype = \"train\"\nmodel = \"small\"\ntokenizer = \"tokens\"\ndata = \"reviews:train\"\n"
      "objective = { type = \"mlm\" }\nstop = \"2 steps\"\n";
  CHECK_THAT(said([&] { project.run(kTeacher + masked + student("taught", "masked")); }),
             ContainsSubstring("reference `teacher` predicts nothing"));
  CHECK_THAT(said([&] {
               project.run(kTeacher +
                           std::string("[stage.others]\ntype = \"store_predictions\"\nmodel = \"trained\"\n"
                                       "data = \"reviews:test\"\n") +
                           student("taught", "others"));
             }),
             ContainsSubstring("lack a document that this stage trains on"));
}

}  // namespace store_predictions_test
