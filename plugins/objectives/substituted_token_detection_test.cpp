#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace substituted_token_detection_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

Table uniform() { return {{"type", "uniform"}}; }

Table by_cluster(double beta = 2) {
  return {{"type", "by_cluster"},
          {"clusters", Reference{.text = "clusters", .kind = "statistics"}},
          {"beta", beta},
          {"feedback", Table{{"delay", "2 steps"}}}};
}

FixtureSpec spec(Table sampler, double rate = 0.3, at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = {{"type", "substituted_token_detection"}, {"rate", rate}, {"sampler", std::move(sampler)}};
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// Text ids 25 ... 47 in three clusters.
const State& clusters() {
  static const State state = [] {
    State made;
    Ints of{std::vector<std::int64_t>(48, -1)};
    for (std::size_t id = 25; id < 48; ++id) of.data[id] = static_cast<std::int64_t>(id % 3);
    made.set("cluster", of);
    return made;
  }();
  return state;
}

FixtureSpec clustered() {
  auto s = spec(by_cluster());
  s.artifacts["clusters"] = &clusters();
  return s;
}

std::vector<std::int64_t> counts(Fixture& f) {
  State state;
  f.transform()->save(state);
  return state.child("sampler").ints("count").data;
}

void make_step(Fixture& f) {
  f.accumulate({f.load(random_texts(spec({}), 8, 1, static_cast<std::uint64_t>(f.step)))});
  f.update();
}

TEST_CASE("substituted_token_detection is the mean binary cross entropy over all tokens") {
  Fixture f(testing::registry(), spec(uniform(), 0.3, at::kDouble));
  const auto batch = f.load(random_texts(spec({}), 8));
  const double found = f.accumulate({batch});
  const at::NoGradGuard quiet;
  const auto &ids = batch.dense("ids"), &given = batch.dense("substituted_ids"), &mask = batch.dense("input.mask");
  const auto hidden =
      f.model("primary").forward(f.weights("primary").values, {.ids = given, .mask = mask}, {.tokens = true}).tokens;
  const auto& all = f.all();
  const auto score = hidden.matmul(all.values[all.find("objective.output")].squeeze(0)) +
                     all.values[all.find("objective.output.bias")];
  double nats = 0, tokens = 0, replaced = 0, detected = 0;
  for (std::int64_t i = 0; i < batch.items(); ++i)
    for (std::int64_t t = 0; t < ids.size(1); ++t) {
      if (!mask[i][t].item<bool>()) continue;
      const bool other = ids[i][t].item<std::int64_t>() != given[i][t].item<std::int64_t>();
      const double p = 1 / (1 + std::exp(-score[i][t].item<double>()));
      nats -= std::log(other ? p : 1 - p), ++tokens, replaced += other, detected += other && p > 0.5;
    }
  CHECK(std::abs(found - nats / tokens) < 1e-12);
  CHECK(std::abs(f.metrics.at("replaced") - replaced / tokens) < 1e-12);
  CHECK(std::abs(f.metrics.at("detected") - detected / replaced) < 1e-12);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
}

TEST_CASE("substituted_token_detection keeps the promises of objectives") {
  for (const auto& sampler : {uniform()})
    CHECK(testing::check_objective(testing::registry(), spec(sampler).objective, {spec({}).model}).empty());
}

TEST_CASE("substituted_token_detection replaces each text token at the rate, and calls equal draws original") {
  auto s = spec(uniform(), 0.15);
  s.vocab = 27;  // two text tokens: half of the draws equal the original
  Fixture f(testing::registry(), s);
  const auto batch = f.load(random_texts(s, 400, 1, 7, 50));
  const auto chosen = batch.dense("chosen").ne(0);
  const auto n = chosen.numel();
  const double rate = chosen.sum().item<double>() / static_cast<double>(n);
  CHECK(std::abs(rate - 0.15) < 3 * std::sqrt(0.15 * 0.85 / static_cast<double>(n)));
  const auto other = batch.dense("ids").ne(batch.dense("substituted_ids"));
  CHECK_FALSE(other.logical_and(chosen.logical_not()).any().item<bool>());
  const double changed = other.sum().item<double>(), draws = chosen.sum().item<double>();
  CHECK(std::abs(changed / draws - 0.5) < 3 * std::sqrt(0.25 / draws));
  auto short_texts = random_texts(s, 16);
  const auto small = f.load(short_texts);
  f.accumulate({small});
  const auto truly = small.dense("ids").ne(small.dense("substituted_ids")).logical_and(small.dense("input.mask"));
  CHECK(f.metrics.at("replaced") == truly.sum().item<double>() / small.dense("input.mask").sum().item<double>());
}

TEST_CASE("substituted_token_detection leaves reserved ids and what is not maskable alone") {
  auto s = spec(uniform(), 1.0);
  s.dataset_fields.push_back({"maskable", "input", 0});
  Fixture f(testing::registry(), s);
  auto texts = random_texts(s, 20);
  for (auto& group : texts) {
    auto& ids = group[0].ints("ids").data;
    ids.front() = 3;
    Ints maskable{std::vector<std::int64_t>(ids.size(), 1)};
    maskable.data[1] = 0;
    group[0].fields["maskable"] = maskable;
  }
  const auto batch = f.load(texts);
  const auto same = batch.dense("ids").eq(batch.dense("substituted_ids"));
  CHECK(same.narrow(1, 0, 2).all().item<bool>());
  const auto chosen = batch.dense("chosen").ne(0);
  CHECK(chosen.narrow(1, 2, chosen.size(1) - 2).equal(batch.dense("input.mask").narrow(1, 2, chosen.size(1) - 2)));
}

TEST_CASE("substituted_token_detection gets its rate from a schedule, and its sampler what is meant for it") {
  auto s = clustered();
  Fixture f(testing::registry(), s);
  f.set("rate", 0.0);
  CHECK(f.load(random_texts(s, 20)).dense("chosen").sum().item<std::int64_t>() == 0);
  f.set("rate", 1.0);
  const auto all = f.load(random_texts(s, 20));
  CHECK(all.dense("chosen").ne(0).equal(all.dense("input.mask")));
  make_step(f), make_step(f), make_step(f), make_step(f);
  Fixture flat(testing::registry(), clustered());
  flat.set("rate", 1.0);
  const auto draws = [&](Fixture& g) {
    return g.transform()->fields(), g.load(random_texts(s, 20)).dense("substituted_ids");
  };
  CHECK_FALSE(draws(f).equal(draws(flat)));  // counts that have moved move the draws
  f.set("sampler.beta", 0.0), flat.set("sampler.beta", 0.0);
  CHECK(draws(f).equal(draws(flat)));
}

TEST_CASE("substituted_token_detection: counts rise with failures, after the declared delay and not before") {
  Fixture f(testing::registry(), clustered());
  auto expected = counts(f);
  std::vector<Feedback> said;
  int failures = 0, successes = 0;
  for (std::size_t step = 0; step < 10; ++step) {
    if (step >= 2) {
      const auto &pair = std::get<Ints>(said[step - 2].values.at("cluster_pair")).data,
                 &right = std::get<Ints>(said[step - 2].values.at("right")).data;
      for (std::size_t i = 0; i < pair.size(); ++i)
        if (pair[i] >= 0)
          expected[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1, ++(right[i] ? successes : failures);
    }
    make_step(f);  // its batch is made after the message of two steps before
    CHECK(counts(f) == expected);
    said.push_back(f.undelivered.back());
  }
  CHECK(failures > 20);
  CHECK(successes > 20);
}

TEST_CASE("substituted_token_detection resumed goes on as if it had never stopped") {
  Fixture f(testing::registry(), clustered());
  for (int i = 0; i < 6; ++i) make_step(f);
  State saved;
  f.transform()->save(saved);
  Fixture again(testing::registry(), clustered());
  again.transform()->load(saved);
  again.undelivered = f.undelivered, again.step = f.step;
  const auto texts = random_texts(clustered(), 8, 1, 99);
  CHECK(f.load(texts).dense("substituted_ids").equal(again.load(texts).dense("substituted_ids")));
  CHECK(counts(f) == counts(again));
}

TEST_CASE("substituted_token_detection: micro-batches add up, learning lowers the loss, the export is the model") {
  Fixture f(testing::registry(), clustered());
  const auto batch = f.load(random_texts(clustered(), 32));
  const double whole = f.accumulate({batch});
  const auto exact = testing::gradients(f);
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(testing::split(batch, size)) - whole) < 1e-6 * whole);
    CHECK(testing::largest_difference(exact, testing::gradients(f)) < 1e-6);
  }
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < whole);
  const auto out = f.exported();
  CHECK(out.parameters.size() == f.weights("primary").size());
}

TEST_CASE("substituted_token_detection needs a sampler that replaces") {
  const auto make = [](Value sampler) {
    return testing::registry().make<Objective>(
        {{"type", "substituted_token_detection"}, {"sampler", std::move(sampler)}});
  };
  CHECK_THROWS_WITH(make("none"), ContainsSubstring("`sampler` is none"));
  const auto objective = make(uniform());
  CHECK(objective->input_transform());
  CHECK_THROWS_WITH(objective->input_transform(), ContainsSubstring("handed out already"));
}

TEST_CASE("substituted_token_detection runs from a recipe: clusters are fitted, the sampler hears the detector") {
  const std::string recipe = R"(
recipe  = 1
name    = "structural"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.0 }
[model.small]
type     = "transformer"
layers   = 1
width    = 8
heads    = 2
max_time = 16
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "prose"
[stage.clusters]
type      = "fit"
method    = { type = "token_clusters", clusters = 3, features = "skipgram" }
corpus    = "prose:train"
tokenizer = "tokens"
[stage.pretrain]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "prose"
batch     = { tokens = 200 }
stop      = "12 steps"
  [stage.pretrain.objective]
  type = "substituted_token_detection"
  rate = 0.15
    [stage.pretrain.objective.sampler]
    type     = "by_cluster"
    clusters = "clusters"
    beta     = 2.0
    feedback = { topic = "detector_success", delay = "8 steps" }
)";
  testing::RecipeRun project;
  project.put("en.txt", testing::planted_text(60));
  project.run(recipe);
  CHECK(project.record("pretrain").counters.steps == 12);
  const auto checkpoint = project.checkpoint("pretrain");
  for (const auto& info : checkpoint.parameters.info) CHECK(info.lifetime == Lifetime::keep);
  CHECK(checkpoint.objective_parameters.size() == 0);
}

}  // namespace substituted_token_detection_test
