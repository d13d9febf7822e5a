#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <set>

#include "api/evaluator.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace alternate_test {

using Catch::Matchers::ContainsSubstring;
using xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

const Table kMasked{{"type", "mlm"}, {"mask_rate", 0.4}}, kNext{{"type", "causal_lm"}},
    kRestored{{"type", "masked_autoencoding"}, {"mask_rate", 0.6}};

Table weighted(Table term, double weight) { return term.insert_or_assign("weight", weight), term; }
Table alternate(List terms, List steps = {}) {
  return {{"type", "alternate"}, {"terms", std::move(terms)}, {"steps", std::move(steps)}};
}

FixtureSpec spec(Table objective) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2},    {"width", 16},   {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.2}, {"dropout", 0.1}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  return s;
}

/// The batch of a step, as the loader makes it.
xp::Batch next(Fixture& f) { return f.load(random_texts(spec({}), 8, 1, static_cast<std::uint64_t>(f.step))); }

TEST_CASE("alternate gives each term its steps in turn, at full weight, and the others no pass") {
  Fixture f(xp::testing::registry(), spec(alternate({kMasked, kNext, kRestored}, {2, 1, 3})));
  const char* terms[] = {"mlm.mlm", "causal_lm.causal_lm", "masked_autoencoding.restore"};
  const int cycle[] = {0, 0, 1, 2, 2, 2};
  while (f.step < 14) {
    CAPTURE(f.step);
    const auto due = cycle[f.step % 6];
    const auto batch = next(f);
    CHECK(batch.dense("alternate.term").eq(due).all().item<bool>());
    const auto counts = f.objective().counts(batch);
    REQUIRE(counts.size() == 1);
    CHECK(counts.begin()->first == terms[due]);
    const double whole = f.accumulate({batch});
    const auto exact = xp::testing::gradients(f);
    CHECK(f.terms.size() == 1);
    CHECK(f.terms.at(terms[due]) == whole);
    CHECK(f.passes.contains("decoder") == (due == 2));
    CHECK(f.passes.at("primary") == 1);
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, 3)) - whole) < 1e-5);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
    f.update();
  }
}

TEST_CASE("alternate is in each step the term whose turn it is, bit for bit") {
  Fixture f(xp::testing::registry(), spec(alternate({kMasked, kNext}))),
      masked(xp::testing::registry(), spec(kMasked)), ahead(xp::testing::registry(), spec(kNext));
  for (; f.step < 4; ++f.step) {
    auto& alone = f.step % 2 ? ahead : masked;
    alone.step = f.step;
    CHECK(f.accumulate({next(f)}) == alone.accumulate({next(alone)}));
    CHECK(xp::testing::largest_difference(xp::testing::gradients(f), xp::testing::gradients(alone)) == 0);
  }
}

TEST_CASE("alternate of one term is that term") {
  Fixture f(xp::testing::registry(), spec(alternate({kMasked}))), alone(xp::testing::registry(), spec(kMasked));
  for (; f.step < 3; f.step = ++alone.step) CHECK(f.accumulate({next(f)}) == alone.accumulate({next(alone)}));
}

TEST_CASE("alternate shows a term nothing of what only another one writes") {
  // Beside a term that masks, as in a sum, what is to be restored is read masked.
  Fixture f(xp::testing::registry(), spec(alternate({kMasked, kRestored}))),
      alone(xp::testing::registry(), spec(kRestored));
  const at::NoGradGuard quiet;
  for (std::size_t i = 0; i < alone.all().size(); ++i) alone.all().values[i].copy_(f.all().values[i]);
  f.accumulate({next(f)});
  f.step = alone.step = 1;
  const auto batch = next(f);
  xp::Batch own;
  own.sample_id = batch.sample_id, own.group_id = batch.group_id;
  for (const char* field : {"ids", "input.mask", "decoder_ids", "decoder_labels"}) own.set(field, batch.dense(field));
  const auto loss = [](Fixture& by, const xp::Batch& of) {
    return by.objective().step(of, by.context()).terms.at(0).sum;
  };
  CHECK(loss(f, batch).equal(loss(alone, own)));
  own.set("masked_ids", batch.dense("masked_ids")), own.set("labels", batch.dense("labels"));
  CHECK_FALSE(loss(f, batch).equal(loss(alone, own)));
}

TEST_CASE("alternate goes on with the turn it was saved at") {
  const auto s = spec(alternate({kMasked, kNext}, {3, 2}));
  const auto make = [&](Fixture& g) {
    const auto batch = next(g);
    const auto loss = g.accumulate({batch});
    g.update();
    return std::pair(batch.dense("alternate.term")[0].item<std::int64_t>(), loss);
  };
  for (int stop = 0; stop < 6; ++stop) {
    CAPTURE(stop);
    Fixture f(xp::testing::registry(), s), again(xp::testing::registry(), s);
    for (int step = 0; step < stop; ++step) make(f);
    xp::State transform, objective;
    f.transform()->save(transform), f.objective().save(objective);
    again.transform()->load(transform), again.objective().load(objective);
    again.undelivered = f.undelivered, again.step = f.step;
    {
      const at::NoGradGuard quiet;
      for (std::size_t i = 0; i < again.all().size(); ++i) again.all().values[i].copy_(f.all().values[i]);
    }
    std::set<std::int64_t> terms;
    for (int step = 0; step < 6; ++step) {
      const auto batch = next(f), same = next(again);
      CHECK(batch.dense("alternate.term").equal(same.dense("alternate.term")));
      CHECK(f.accumulate({batch}) == again.accumulate({same}));
      terms.insert(batch.dense("alternate.term")[0].item<std::int64_t>());
      ++f.step, ++again.step;
    }
    CHECK(terms.size() == 2);
  }
}

TEST_CASE("alternate multiplies a term's loss by its weight, and hands schedules on") {
  Fixture plain(xp::testing::registry(), spec(alternate({kMasked, kMasked}))),
      heavy(xp::testing::registry(), spec(alternate({weighted(kMasked, 3), weighted(kMasked, 0.5)})));
  for (const double factor : {3.0, 0.5}) {
    const auto batch = next(plain), same = next(heavy);
    REQUIRE(batch.dense("labels").equal(same.dense("labels")));
    CHECK(std::abs(heavy.accumulate({same}) - factor * plain.accumulate({batch})) < 1e-5);
    ++plain.step, ++heavy.step;
  }
  plain.set("mlm_2.mask_rate", 1.0);
  for (; plain.step < 6; ++plain.step) {
    const auto batch = next(plain);
    const auto all = batch.dense("labels").ge(0).sum().equal(batch.dense("input.mask").sum());
    CHECK(all == (plain.step % 2 == 1));
    plain.accumulate({batch});
  }
}

TEST_CASE("alternate cuts texts for the longest that any term makes of them") {
  auto s = spec(alternate({kMasked, Table{{"type", "denoise"}, {"mode", "X"}, {"span", 3}, {"rate", 0.5}}}));
  s.reserved = {{"mask", 3}, {"end", 4}, {"mode.2", 5}};
  for (int i = 0; i < 16; ++i) s.reserved["sentinel." + std::to_string(i)] = 8 + i;
  s.model.insert_or_assign("kind", "encoder_decoder");
  Fixture f(xp::testing::registry(), s);
  const auto random = xp::RandomStreams(1).stream();
  CHECK(f.transform()->lengths(30, random).input == 30);   // masked
  CHECK(f.transform()->lengths(30, random).target == 21);  // denoised: 15 tokens, 5 sentinels, end
  for (; f.step < 4; ++f.step) {
    f.accumulate({next(f)});
    CHECK(f.passes.at("primary") == (f.step % 2 ? 2 : 1));
  }
}

TEST_CASE("alternate is used as the first of its terms that has a way of its own") {
  auto s = spec(alternate({kMasked, Table{{"type", "classification"}}}));
  s.dataset_fields.push_back({"label", "", -1});
  s.categories["label"] = {"no", "yes"};
  Fixture f(xp::testing::registry(), s), plain(xp::testing::registry(), spec(alternate({kMasked, kNext})));
  CHECK(f.handle()->can("predict"));
  CHECK_FALSE(plain.handle()->can("predict"));
}

TEST_CASE("alternate takes turns inside a sum, and a mixture takes its turn inside") {
  Fixture f(xp::testing::registry(),
            spec({{"type", "sum"}, {"terms", List{alternate({kMasked, kNext}), weighted(kNext, 0.5)}}}));
  for (; f.step < 4; ++f.step) {
    f.accumulate({next(f)});
    CHECK(f.terms.size() == 2);
    CHECK(f.terms.contains("causal_lm.causal_lm"));
    CHECK(f.terms.contains(f.step % 2 ? "alternate.causal_lm.causal_lm" : "alternate.mlm.mlm"));
  }
  const Table mixed{{"type", "mixture"}, {"terms", List{kMasked, Table{{"type", "mlm"}, {"mask_rate", 0.9}}}}};
  Fixture g(xp::testing::registry(), spec(alternate({mixed, kNext})));
  for (; g.step < 4; ++g.step) {
    g.accumulate({next(g)});
    CHECK(g.terms.size() == (g.step % 2 ? 1 : 2));
    CHECK(g.terms.contains(g.step % 2 ? "causal_lm.causal_lm" : "mixture.mlm_2.mlm"));
  }
}

TEST_CASE("alternate is coupled over the batch if a term is") {
  const Table pairs{{"type", "in_batch_softmax"}};
  CHECK(Fixture(xp::testing::registry(), spec(alternate({kMasked, pairs}))).objective().batch_coupled());
  CHECK_FALSE(Fixture(xp::testing::registry(), spec(alternate({kMasked, kNext}))).objective().batch_coupled());
}

TEST_CASE("alternate keeps what every objective keeps") {
  auto model = spec({}).model;
  model.erase("dropout");
  CHECK(xp::testing::check_objective(xp::testing::registry(), alternate({kNext, kNext}, {1, 2}), {model}).empty());
}

TEST_CASE("alternate says what does not fit") {
  const auto make = [](List terms, List steps = {}) {
    Fixture(xp::testing::registry(), spec(alternate(std::move(terms), std::move(steps))));
  };
  CHECK_THROWS_WITH(make({}), ContainsSubstring("`terms` is empty"));
  CHECK_THROWS_WITH(make({kMasked, kNext}, {1}), ContainsSubstring("`steps` has 1 number for 2 objectives"));
  CHECK_THROWS_WITH(make({kMasked, kNext}, {1, 0}), ContainsSubstring("the steps of `causal_lm` are 0"));
  CHECK_THROWS_WITH(make({kNext, alternate({kMasked, kNext})}),
                    ContainsSubstring("an alternate is a term of an alternate"));
}

TEST_CASE("alternate trains from a recipe") {
  xp::testing::RecipeRun project;
  project.put("en.txt", xp::testing::planted_text(60));
  project.run(R"(
recipe  = 1
name    = "turns"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "prose"
[stage.model]
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32 }
tokenizer = "tokens"
data      = "prose"
batch     = { tokens = 200 }
stop      = "7 steps"
objective = { type = "alternate", steps = [2, 1], terms = [{ type = "mlm", mask_rate = { from = 0.2, to = 0.6 }, accuracy = true }, { type = "causal_lm" }] }
)");
  const auto record = project.record("model");
  CHECK(record.counters.steps == 7);
  std::vector<std::int64_t> masked;
  for (const auto& point : record.curves.at("train.mlm.accuracy").points) masked.push_back(point.at.steps);
  CHECK(masked == std::vector<std::int64_t>{1, 2, 4, 5, 7});  // counted when they are done
  CHECK(record.curves.contains("knob.mlm.mask_rate"));
}

}  // namespace alternate_test
