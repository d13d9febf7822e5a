#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>

namespace domain_specificity_test {

using namespace xp;
using namespace xp::testing;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// Documents of these words, `share` of them of the sea.
std::string texts(int documents, double share, std::uint64_t seed) {
  const std::vector<std::string> sea{"ship", "wave", "sail", "harbour"}, farm{"cow", "field", "plough", "barn"};
  RandomStream stream(seed);
  std::string out;
  for (int i = 0; i < documents; ++i) {
    for (int w = 0; w < 12; ++w)
      out += (w ? " " : "") + (stream.uniform() < share ? sea : farm)[static_cast<std::size_t>(stream.below(4))];
    out += "\n\n";
  }
  return out;
}

constexpr const char* kModels = R"(
recipe  = 1
name    = "specific"
threads = 1
[dataset.sea]
type  = "text"
files = ["sea.txt"]
split = { dev = 0.1, test = 0.4 }
[dataset.farm]
type  = "text"
files = ["farm.txt"]
split = { dev = 0.1, test = 0.4 }
[dataset.both]
type  = "text"
files = ["both.txt"]
split = { dev = 0.1, test = 0.4 }
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "both"
[stage.general]
type      = "train"
model     = { type = "transformer", kind = "encoder", layers = 1, width = 8, heads = 2, max_time = 32 }
tokenizer = "tokens"
data      = "both"
objective = { type = "mlm", mask_rate = 0.3 }
optimizer = { type = "adamw", lr = 1e-2 }
batch     = { tokens = 256 }
stop      = "10 steps"
[stage.domain]
type      = "train"
model     = "general"
data      = "sea"
objective = { type = "mlm", mask_rate = 0.3 }
optimizer = { type = "adamw", lr = 1e-2 }
batch     = { tokens = 256 }
stop      = "60 steps"
[stage.losses]
each  = { model = ["general", "domain"] }
type  = "evaluate"
model = "{model}"
with  = [
  { type = "pseudo_likelihood", data = "sea:test", as = "sea" },
  { type = "pseudo_likelihood", data = "farm:test", as = "farm" },
  { type = "pseudo_likelihood", data = "both:test", as = "both" },
]
)";

std::string specificity(const std::string& name, bool scored, const std::string& more = {}) {
  std::string out =
      "[stage." + name + "]\ntype = \"domain_specificity\"\nmodel = \"domain\"\ngeneral = \"general\"\n" + more;
  for (const std::string task : {"sea", "farm", "both"}) {
    const auto loss = "{ type = \"pseudo_likelihood\", data = \"" + task + ":test\" }";
    out += "[[stage." + name + ".tasks]]\nid = \"" + task + "\"\nloss = " + loss + "\n";
    if (scored) out += "score = " + loss + "\ntuned = \"domain\"\ngeneral_tuned = \"general\"\n";
  }
  return out;
}

struct Project : RecipeRun {
  Project() { put("sea.txt", texts(60, 1, 1)), put("farm.txt", texts(60, 0, 2)), put("both.txt", texts(60, 0.5, 3)); }
  double value(const std::string& stage, const std::string& metric) const {
    return record(stage).finals.at(metric).value;
  }
};

TEST_CASE("domain_specificity: the difference of two frozen models' losses, greatest at home") {
  Project project;
  project.run(kModels + specificity("found", false));
  for (const std::string task : {"sea", "farm", "both"}) {
    const auto bits = task + ".bits", own = "specificity[" + task + "]";
    CHECK(project.value("found", own) ==
          Approx(project.value("losses[general]", bits) - project.value("losses[domain]", bits)).epsilon(1e-9));
  }
  CHECK(project.value("found", "specificity[sea]") > 0);
  CHECK(project.value("found", "specificity[farm]") < 0);
  CHECK(project.value("found", "specificity[sea]") > project.value("found", "specificity[both]"));
  const auto record = project.record("found");
  CHECK(record.finals.size() == 3);
  CHECK(
      (record.finals.at("specificity[sea]").what == MetricSignature{"bits/byte", "", "sea:test", "1, of version 1"}));
  CHECK(record.items.at("tasks").columns.at("specificity").size() == 3);
}

TEST_CASE("domain_specificity: the slope of the gain, and a control without the order") {
  Project project;
  // The score is the loss itself, so what the domain's model gains is exactly what it lost: a line down at 45
  // degrees.
  const std::string bits = "score_metric = \"bits\"\n";
  project.run(kModels + specificity("found", true, bits) + specificity("shuffled", true, bits + "shuffle = true\n"));
  CHECK(project.value("found", "slope") == Approx(-1).epsilon(1e-9));
  CHECK(project.value("found", "correlation") == Approx(-1).epsilon(1e-9));
  CHECK(project.record("found").finals.at("slope").what.unit == "bits per bits");
  CHECK(project.value("found", "gain[sea]") == Approx(-project.value("found", "specificity[sea]")));
  const auto shuffled = project.record("shuffled");
  CHECK(shuffled.finals.at("specificity[sea]").value == project.value("found", "specificity[sea]"));
  // The slope of the gains over the specificities in one of their six orders.
  auto x = shuffled.items.at("tasks").columns.at("specificity");
  const auto y = shuffled.items.at("tasks").columns.at("gain");
  std::sort(x.begin(), x.end());
  bool found = false;
  do {
    const double mx = (x[0] + x[1] + x[2]) / 3, my = (y[0] + y[1] + y[2]) / 3;
    double xx = 0, xy = 0;
    for (int i = 0; i < 3; ++i) xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
    found |= std::abs(xy / xx - shuffled.finals.at("slope").value) < 1e-9;
  } while (std::next_permutation(x.begin(), x.end()));
  CHECK(found);
}

TEST_CASE("domain_specificity says what it cannot compare") {
  Project project;
  const auto fails = [&](const std::string& stage) { return said([&] { project.run(kModels + stage); }); };
  CHECK_THAT(fails(specificity("found", true)),
             ContainsSubstring("gives no `macro_f1`, but `bits`, `nats_per_token` and `unknown`"));
  CHECK_THAT(fails(specificity("found", false) + "tuned = \"domain\"\n"),
             ContainsSubstring("task `both` has some of `score`, `tuned` and `general_tuned`"));
  CHECK_THAT(
      fails(specificity("found", true, "score_metric = \"bits\"\n") +
            "[[stage.found.tasks]]\nid = \"sea\"\nloss = { type = \"pseudo_likelihood\", data = \"sea:test\" }\n"),
      ContainsSubstring("two tasks have the id `sea`") || ContainsSubstring("3 of 4 tasks are scored"));
  const auto same = specificity("found", true, "score_metric = \"bits\"\n");
  CHECK_THAT(fails(std::string(same).replace(same.find("model = \"domain\""), 16, "model = \"general\"")),
             ContainsSubstring("all tasks have the same specificity"));
}

}  // namespace domain_specificity_test
