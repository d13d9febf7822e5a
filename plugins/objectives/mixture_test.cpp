#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <set>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace mixture_test {

using xp::Example, xp::Ints, xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

Table mlm(double rate, double weight = 1) { return {{"type", "mlm"}, {"mask_rate", rate}, {"weight", weight}}; }
Table denoise(const char* mode, std::int64_t span, double rate) {
  return {{"type", "denoise"}, {"mode", mode}, {"span", span}, {"rate", rate}, {"prefix", std::string(mode) == "S"}};
}
const List& denoisers() {
  static const List all{denoise("R", 3, 0.15), denoise("S", 3, 0.25), denoise("X", 3, 0.5)};
  return all;
}

FixtureSpec spec(List terms, const char* per = "example") {
  FixtureSpec s;
  s.reserved = {{"mask", 3}, {"end", 4}, {"mode.0", 5}, {"mode.1", 6}, {"mode.2", 7}};
  for (int i = 0; i < 16; ++i) s.reserved["sentinel." + std::to_string(i)] = 8 + i;
  s.model = {{"type", "transformer"}, {"kind", "encoder_decoder"},
             {"layers", 1},           {"decoder_layers", 1},
             {"width", 16},           {"heads", 2},
             {"max_time", 64},        {"init_sd", 0.2}};
  s.objective = {{"type", "mixture"}, {"terms", std::move(terms)}, {"per", per}};
  s.optimizer = {{"type", "adamw"}};
  return s;
}

double number(const at::Tensor& x) { return x.sum().item<double>(); }

void check_accumulation(Fixture& f, const xp::Batch& batch, std::initializer_list<int> sizes) {
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : sizes) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-6 * whole);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-6);
  }
}

TEST_CASE("mixture of one is that one, bit for bit") {
  for (const char* per : {"example", "batch"}) {
    auto s = spec({mlm(0.3)}, per), p = s;
    p.objective = {{"type", "mlm"}, {"mask_rate", 0.3}};
    Fixture mixed(xp::testing::registry(), s), plain(xp::testing::registry(), p);
    const auto texts = random_texts(s, 32);
    CHECK(mixed.accumulate({mixed.load(texts)}) == plain.accumulate({plain.load(texts)}));
    CHECK(xp::testing::largest_difference(xp::testing::gradients(mixed), xp::testing::gradients(plain)) == 0);
  }
}

TEST_CASE("mixture per example: weights are shares of examples, each with its own objective's transform") {
  const auto s = spec({mlm(0.1, 3), mlm(0.5, 0), mlm(0.9, 1)});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 2000));
  const auto& term = batch.dense("mixture.term");
  CHECK(number(term.eq(1)) == 0);
  const double share = number(term.eq(2)) / 2000;
  CHECK(std::abs(share - 0.25) < 3 * std::sqrt(0.25 * 0.75 / 2000));
  for (const auto& [k, rate] : {std::pair(0, 0.1), std::pair(2, 0.9)}) {
    const auto rows = term.eq(k);
    const double tokens = number(batch.dense("input.mask").sum(1).mul(rows));
    const double chosen = number(batch.dense("labels").ge(0).sum(1).mul(rows));
    CHECK(std::abs(chosen / tokens - rate) < 3 * std::sqrt(rate * (1 - rate) / tokens));
  }
}

TEST_CASE("mixture's loss is each objective's mean over its own examples, as heavy as its share") {
  const auto s = spec({mlm(0.2, 3), mlm(0.5, 1)});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 32));
  const double loss = f.accumulate({batch});
  auto p = s;
  p.objective = {{"type", "mlm"}};
  Fixture plain(xp::testing::registry(), p);
  const auto alone = [&](std::int64_t k) {
    return plain.accumulate({batch.select(batch.dense("mixture.term").eq(k).nonzero().squeeze(1))});
  };
  CHECK(std::abs(f.terms.at("mlm.mlm") - alone(0)) < 1e-5);
  CHECK(std::abs(f.terms.at("mlm_2.mlm") - alone(1)) < 1e-5);
  CHECK(std::abs(loss - (0.75 * alone(0) + 0.25 * alone(1))) < 1e-5);
}

TEST_CASE("mixture gives groups to one objective as a whole, and micro-batches add up") {
  const auto s = spec({mlm(0.2), mlm(0.5)});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 16, 2));
  const auto terms = batch.dense("mixture.term").view({16, 2});
  CHECK(terms.select(1, 0).equal(terms.select(1, 1)));
  CHECK(f.terms.size() == 0);
  check_accumulation(f, batch, {8, 5});
  CHECK(f.terms.size() == 2);
}

TEST_CASE("mixture runs objectives with the same step in one pass, and shows what each of them loses") {
  const auto s = spec(denoisers());
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 24, 1, 7, 20));
  f.accumulate({batch});
  CHECK(f.passes["primary"] == 2);       // an encoder and a decoder
  CHECK(f.terms_by_source.size() == 6);  // two sources, three modes
  CHECK(f.terms.size() == 1);
  const auto& term = batch.dense("mixture.term");
  const char* names[] = {"denoise.target", "denoise_2.target", "denoise_3.target"};
  auto p = s;
  p.objective = denoise("R", 3, 0.15);
  Fixture plain(xp::testing::registry(), p);
  for (std::int64_t k = 0; k < 3; ++k) {
    const auto rows = term.eq(k).nonzero().squeeze(1);
    REQUIRE(rows.size(0) > 0);
    CHECK(batch.dense("source_ids").select(1, 0).index_select(0, rows).eq(5 + k).all().item<bool>());
    CHECK(std::abs(f.metrics.at(names[k]) - plain.accumulate({batch.select(rows)})) < 1e-5);
  }
  check_accumulation(f, batch, {6, 5});
}

TEST_CASE("mixture keeps its objectives' promises about length, for the draw that it makes") {
  const auto s = spec(denoisers());
  Fixture f(xp::testing::registry(), s);
  auto groups = random_texts(s, 24, 1, 7, 64);
  for (auto& group : groups) {  // what the loader does: ask how many raw tokens give 32
    const auto random = xp::RandomStreams(s.seed, "input").stream(0, static_cast<std::uint64_t>(group[0].group_id));
    const auto raw = xp::raw_tokens_for(*f.transform(), {32, 32}, random, 64);
    const auto now = f.transform()->lengths(raw, random), next = f.transform()->lengths(raw + 1, random);
    CHECK(now.input <= 32);
    CHECK((next.input > 32 || next.target > 32));
    group[0].ints("ids").data.resize(static_cast<std::size_t>(raw));
  }
  const auto length = f.load(groups).dense("source.mask").sum(1);
  CHECK(length.max().item<std::int64_t>() == 32);
  CHECK(length.min().item<std::int64_t>() >= 31);
}

TEST_CASE("mixture of unlike objectives splits the batch by example") {
  const auto s = spec({mlm(0.3), denoise("X", 3, 0.5)});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 16));
  f.accumulate({batch});
  CHECK(f.terms.size() == 2);
  CHECK(f.passes["primary"] == 3);
  // Columns of the other objective are padding as long as their axis.
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const bool masked = batch.dense("mixture.term")[i].item<std::int64_t>() == 0;
    CHECK((number(batch.dense("labels")[i].ge(0)) == 0 || masked));
    CHECK((number(batch.dense("source.mask")[i]) == 0) == masked);
  }
  check_accumulation(f, batch, {4, 7});
}

TEST_CASE("mixture spares its terms the padding that only others need") {
  auto s = spec({mlm(0.3), denoise("X", 3, 0.5)});
  s.model.insert_or_assign("max_time", 32);
  Fixture f(xp::testing::registry(), s);
  auto groups = random_texts(s, 16, 1, 7, 64);
  for (auto& group : groups) {  // 30 tokens of what the encoder reads: more than 32 of the text for a denoiser
    const auto random = xp::RandomStreams(s.seed, "input").stream(0, static_cast<std::uint64_t>(group[0].group_id));
    const auto raw = xp::raw_tokens_for(*f.transform(), {30, 1000}, random, 64);
    group[0].ints("ids").data.resize(static_cast<std::size_t>(raw));
  }
  const auto batch = f.load(groups);
  REQUIRE(batch.dense("ids").size(1) > 32);
  f.accumulate({batch});
  auto p = s;
  p.objective = {{"type", "mlm"}};
  Fixture plain(xp::testing::registry(), p);
  auto alone = batch.select(batch.dense("mixture.term").eq(0).nonzero().squeeze(1));
  for (const char* field : {"ids", "masked_ids", "labels", "input.mask"})
    alone.set(field, alone.dense(field).narrow(1, 0, 30).contiguous());
  CHECK(std::abs(f.terms.at("mlm.mlm") - plain.accumulate({alone})) < 1e-5);
}

TEST_CASE("mixture shows a term nothing of what only others write") {
  // Beside a term that masks, as in a sum, what is to be restored is read masked.
  const Table restored{{"type", "masked_autoencoding"}, {"mask_rate", 0.6}};
  auto s = spec({mlm(0.3), restored});
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 64}, {"init_sd", 0.2}};
  auto p = s;
  p.objective = restored;
  Fixture f(xp::testing::registry(), s), alone(xp::testing::registry(), p);
  const auto batch = f.load(random_texts(s, 16));
  f.accumulate({batch});
  const auto some = batch.select(batch.dense("mixture.term").eq(1).nonzero().squeeze(1));
  xp::Batch own;
  own.sample_id = some.sample_id, own.group_id = some.group_id;
  own.set("source", some.strings("source"));
  for (const char* field : {"ids", "input.mask", "decoder_ids", "decoder_labels"}) own.set(field, some.dense(field));
  for (std::size_t i = 0; i < alone.all().size(); ++i)
    alone.all().values[i].detach().copy_(f.all().values[i].detach());
  CHECK(std::abs(f.terms.at("masked_autoencoding.restore") - alone.accumulate({own})) < 1e-5);
}

TEST_CASE("mixture per batch: whole batches go to one objective, in turns that keep the shares") {
  auto s = spec({mlm(0.2, 1), denoise("X", 3, 0.5), denoise("R", 3, 0.15)}, "batch");
  s.objective["terms"].as<List>()->at(1).as<Table>()->insert_or_assign("weight", 3.0);
  s.objective["terms"].as<List>()->at(2).as<Table>()->insert_or_assign("weight", 0.0);
  Fixture f(xp::testing::registry(), s);
  std::vector<int> turns(3);
  for (int step = 0; step < 16; ++step) {
    const auto batch = f.load(random_texts(s, 6, 1, static_cast<std::uint64_t>(step)));
    const auto term = batch.dense("mixture.term")[0].item<std::int64_t>();
    CHECK(batch.dense("mixture.term").eq(term).all().item<bool>());
    ++turns.at(static_cast<std::size_t>(term));
    CHECK(std::abs(turns[1] - 0.75 * (step + 1)) < 1);  // at any time, not only in the end
    const double loss = f.accumulate(xp::testing::split(batch, 4));
    CHECK(f.terms.size() == 1);
    CHECK(std::abs(loss - f.terms.begin()->second) < 1e-6);  // a step has one objective, at full weight
    f.update();
  }
  CHECK(turns == std::vector<int>{4, 12, 0});
  const auto random = xp::RandomStreams(1).stream();
  CHECK(f.transform()->lengths(30, random).input == 30);   // masked
  CHECK(f.transform()->lengths(30, random).target == 21);  // denoised: 15 tokens, 5 sentinels, end
}

TEST_CASE("mixture per batch goes on with the turn it was saved at") {
  const auto s = spec({mlm(0.2, 2), denoise("X", 3, 0.5)}, "batch");
  Fixture f(xp::testing::registry(), s);
  const auto make = [&](Fixture& g) {
    const auto batch = g.load(random_texts(s, 4, 1, static_cast<std::uint64_t>(g.step)));
    g.accumulate({batch}), g.update();
    return batch.dense("mixture.term")[0].item<std::int64_t>();
  };
  for (int step = 0; step < 5; ++step) make(f);
  xp::State saved;
  f.transform()->save(saved);
  Fixture again(xp::testing::registry(), s);
  again.transform()->load(saved);
  again.undelivered = f.undelivered, again.step = f.step;
  std::set<std::int64_t> terms;
  for (int step = 0; step < 6; ++step) {
    const auto term = make(f);
    CHECK(make(again) == term);
    terms.insert(term);
  }
  CHECK(terms.size() == 2);
}

TEST_CASE("mixture passes what a detector says back to the sampler it belongs to") {
  xp::State clusters;
  Ints of{std::vector<std::int64_t>(48, -1)};
  for (std::size_t id = 25; id < 48; ++id) of.data[id] = static_cast<std::int64_t>(id % 3);
  clusters.set("cluster", of);
  const Table detect{{"type", "substituted_token_detection"},
                     {"rate", 0.4},
                     {"sampler", Table{{"type", "by_cluster"},
                                       {"clusters", xp::Reference{.text = "groups", .kind = "statistics"}},
                                       {"feedback", Table{{"delay", "1 steps"}}}}}};
  auto s = spec({mlm(0.2), detect});
  s.artifacts["groups"] = &clusters;
  Fixture f(xp::testing::registry(), s);
  auto texts = random_texts(s, 24);
  const auto term = [&] { return f.load(texts).dense("mixture.term"); };
  for (std::size_t i = 0; i < texts.size(); ++i)  // only texts that go elsewhere are long
    if (term()[static_cast<std::int64_t>(i)].item<std::int64_t>() == 0) texts[i][0].ints("ids").data.resize(40, 30);
  const auto batch = f.load(texts);
  REQUIRE(batch.dense("ids").size(1) == 40);
  f.accumulate({batch}), f.update();
  const auto message = f.undelivered.at(0);
  f.load(random_texts(s, 4, 1, 8));
  xp::State state;
  f.transform()->save(state);
  std::vector<std::int64_t> expected(9, 1);
  const auto &pair = std::get<Ints>(message.values.at("cluster_pair")).data,
             &right = std::get<Ints>(message.values.at("right")).data;
  REQUIRE(pair.size() == right.size());
  int heard = 0;
  for (std::size_t i = 0; i < pair.size(); ++i)
    if (pair[i] >= 0) expected[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1, ++heard;
  CHECK(heard > 20);
  CHECK(state.child("substituted_token_detection").child("sampler").ints("count").data == expected);
}

TEST_CASE("mixture hands a schedule to the objective it names") {
  const auto s = spec({mlm(0.2), mlm(0.2)});
  Fixture f(xp::testing::registry(), s);
  f.set("mlm_2.mask_rate", 1.0);
  const auto batch = f.load(random_texts(s, 200));
  const auto all = batch.dense("labels").ge(0).sum(1).eq(batch.dense("input.mask").sum(1));
  CHECK(all.equal(batch.dense("mixture.term").eq(1)));
}

TEST_CASE("mixture says what does not fit") {
  using Catch::Matchers::ContainsSubstring;
  const auto make = [](List terms) { Fixture(xp::testing::registry(), spec(std::move(terms))); };
  CHECK_THROWS_WITH(make({mlm(0.2, 0)}), ContainsSubstring("no objective with a weight above 0"));
  CHECK_THROWS_WITH(make({mlm(0.2, -1), mlm(0.2)}), ContainsSubstring("the weight of `mlm` is -1"));
  CHECK_THROWS_WITH(make({mlm(0.2), Table{{"type", "mixture"}, {"terms", List{mlm(0.3)}}}}),
                    ContainsSubstring("a mixture is a term of a mixture"));
}

TEST_CASE("mixture runs from a recipe, per example and per batch") {
  xp::testing::RecipeRun project;
  project.put("en.txt", xp::testing::planted_text(60));
  const std::string head = R"(
recipe  = 1
name    = "ul2"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.0 }
[model.small]
type           = "transformer"
kind           = "encoder_decoder"
layers         = 1
decoder_layers = 1
width          = 8
heads          = 2
max_time       = 20
[stage.tokens]
type    = "train_tokenizer"
method  = { type = "wordpiece", vocab_size = 160, min_count = 1 }
corpus  = "prose"
reserve = { sentinel = 100, mode = 3 }
)";
  std::string stages;
  for (const std::string per : {"example", "batch"})
    stages += "[stage.by_" + per + R"(]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "prose"
batch     = { tokens = 200 }
stop      = "6 steps"
  [stage.by_)" +
              per + R"(.objective]
  type  = "mixture"
  per   = ")" +
              per + R"("
  terms = [
    { type = "denoise", mode = "R", span = 3, rate = 0.15 },
    { type = "denoise", mode = "S", prefix = true, rate = 0.25 },
    { type = "denoise", mode = "X", span = 64, rate = 0.5 },
    { type = "mlm", mask_rate = 0.3 },
  ]
)";
  project.run(head + stages);
  for (const std::string stage : {"by_example", "by_batch"}) CHECK(project.record(stage).counters.steps == 6);
}

}  // namespace mixture_test
