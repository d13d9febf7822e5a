#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/evaluator.h"
#include "kit/torch_operators.h"
#include "plugin/loader.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace anneal_test {

using Catch::Matchers::ContainsSubstring;
using xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

const Table kMasked{{"type", "mlm"}, {"mask_rate", 0.2}}, kNext{{"type", "causal_lm"}},
    kRestored{{"type", "masked_autoencoding"}, {"mask_rate", 0.6}};

Table anneal(Table from, Table to, xp::Value a) {
  return {{"type", "anneal"}, {"from", std::move(from)}, {"to", std::move(to)}, {"a", std::move(a)}};
}
Table masked(double rate, List mix) { return {{"type", "mlm"}, {"mask_rate", rate}, {"mix", std::move(mix)}}; }

FixtureSpec spec(Table objective) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}, {"end", 4}, {"mode.2", 5}};
  for (int i = 0; i < 16; ++i) s.reserved["sentinel." + std::to_string(i)] = 8 + i;
  s.model = {{"type", "transformer"}, {"layers", 2},    {"width", 16},   {"heads", 2},
             {"max_time", 64},        {"init_sd", 0.2}, {"dropout", 0.1}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  return s;
}

std::vector<std::vector<xp::Example>> texts(int count = 8) { return random_texts(spec({}), count); }

/// The annealed objective, and one of its ends as it is alone, with equal weights.
void check_end(const Table& from, const Table& to, int end, const char* kind = "encoder") {
  auto s = spec(anneal(from, to, end)), t = spec(end ? to : from);
  for (auto* one : {&s, &t}) one->model.insert_or_assign("kind", kind);
  Fixture f(xp::testing::registry(), s), alone(xp::testing::registry(), t);
  const std::string front = std::string("objective/") + (end ? "to" : "from");
  std::vector<std::size_t> own;
  {
    const at::NoGradGuard quiet;
    for (std::size_t i = 0; i < alone.all().size(); ++i) {
      auto name = alone.all().info[i].name;
      if (name.starts_with("objective")) name = front + name.substr(9);
      own.push_back(f.all().find(name));
      alone.all().values[i].copy_(f.all().values[own.back()]);
    }
  }
  for (f.step = 0; f.step < 2; f.step = ++alone.step) {
    const auto batch = f.load(texts()), same = alone.load(texts());
    CHECK(f.accumulate({batch}) == alone.accumulate({same}));
    CHECK(f.terms.size() == alone.terms.size());
    CHECK(f.passes == alone.passes);
    CHECK(f.objective().counts(batch).size() == f.terms.size());
    const auto all = xp::testing::gradients(f), expected = xp::testing::gradients(alone);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(alone.all().info[i].name);
      CHECK(all[own[i]].equal(expected[i]));
    }
    for (const auto& [name, column] : same.columns()) {
      CAPTURE(name);
      const auto mine = batch.has(front.substr(10) + "." + name) ? front.substr(10) + "." + name : name;
      if (const auto* dense = std::get_if<at::Tensor>(&column)) CHECK(batch.dense(mine).equal(*dense));
    }
  }
}

TEST_CASE("anneal is at its ends the one objective or the other, bit for bit, with its own draws and passes") {
  for (const int end : {0, 1}) {
    CAPTURE(end);
    check_end(kMasked, kNext, end);
    check_end(kMasked, masked(0.7, {0.5, 0.25, 0.25}), end);  // both write the same fields
    check_end(kMasked, kRestored, end);                       // which would read masked ids if it saw any
    check_end({{"type", "denoise"}, {"mode", "X"}, {"span", 3}, {"rate", 0.5}}, kMasked, end, "encoder_decoder");
    check_end(kMasked, {{"type", "denoise"}, {"mode", "X"}, {"span", 3}, {"rate", 0.5}}, end, "encoder_decoder");
  }
}

TEST_CASE("anneal weighs losses and gradients with 1 - a and a, and micro-batches add up") {
  const auto other = masked(0.6, {0.0, 1.0, 0.0});
  Fixture f(xp::testing::registry(), spec(anneal(kMasked, other, 0.3)));
  const auto batch = f.load(texts());
  const double loss = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  CHECK(f.passes.at("primary") == 2);
  CHECK(std::abs(loss - (0.7 * f.terms.at("from.mlm") + 0.3 * f.terms.at("to.mlm"))) < 1e-6);
  std::vector<at::Tensor> expected;
  for (const auto& [only, weight] : {std::pair("from", 0.0), std::pair("to", 1.0)}) {
    Fixture one(xp::testing::registry(), spec(anneal(kMasked, other, weight)));
    CHECK(one.accumulate({batch}) == f.terms.at(std::string(only) + ".mlm"));
    const auto part = xp::testing::gradients(one);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto share = part[i] * (weight == 0 ? 0.7 : 0.3);
      if (weight == 0)
        expected.push_back(share);
      else
        expected[i] = expected[i] + share;
    }
  }
  CHECK(xp::testing::largest_difference(expected, exact) < 1e-6);
  CHECK(std::abs(f.accumulate(xp::testing::split(batch, 3)) - loss) < 1e-5);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
}

TEST_CASE("anneal moves with its schedule and hands on those of its objectives") {
  Fixture f(xp::testing::registry(), spec(anneal(kMasked, kMasked, 0.0)));
  f.set("to.mask_rate", 1.0);
  const auto batch = f.load(texts(32));
  const auto share = [&](const char* field) {
    return batch.dense(field).ge(0).sum().item<double>() / batch.dense("input.mask").sum().item<double>();
  };
  CHECK(share("from.labels") < 0.3);
  CHECK(share("to.labels") == 1);
  for (const double a : {0.0, 0.25, 1.0}) {
    f.set("a", a);
    const double loss = f.accumulate({batch});
    CHECK(f.terms.contains("from.mlm") == (a < 1));
    CHECK(f.terms.contains("to.mlm") == (a > 0));
    CHECK(f.passes.at("primary") == (a > 0 && a < 1 ? 2 : 1));
    double sum = 0;
    for (const auto& [name, value] : f.terms) sum += (name == "to.mlm" ? a : 1 - a) * value;
    CHECK(std::abs(loss - sum) < 1e-5);
  }
  CHECK_THROWS_WITH(f.set("a", 1.5), ContainsSubstring("`a` is 1.5; a share between 0 and 1 is needed"));
}

TEST_CASE("anneal lets each objective's sampler hear its own detector, and saves what it learnt") {
  xp::State clusters;
  xp::Ints of{std::vector<std::int64_t>(48, -1)};
  for (std::size_t id = 25; id < 48; ++id) of.data[id] = static_cast<std::int64_t>(id % 3);
  clusters.set("cluster", of);
  const auto detect = [](double rate) {
    return Table{{"type", "substituted_token_detection"},
                 {"rate", rate},
                 {"sampler", Table{{"type", "by_cluster"},
                                   {"clusters", xp::Reference{.text = "groups", .kind = "statistics"}},
                                   {"feedback", Table{{"delay", "1 steps"}}}}}};
  };
  auto s = spec(anneal(detect(0.3), detect(0.6), 0.5));
  s.artifacts["groups"] = &clusters;
  Fixture f(xp::testing::registry(), s);
  f.accumulate({f.load(texts(24))}), f.update();
  REQUIRE(f.undelivered.size() == 2);
  const auto messages = f.undelivered;
  f.load(texts(4));
  CHECK(f.undelivered.empty());
  xp::State state;
  f.transform()->save(state);
  for (const auto& message : messages) {
    const auto part = message.topic.substr(0, message.topic.find('.'));
    CAPTURE(part);
    CHECK(message.topic == part + ".detector_success");
    std::vector<std::int64_t> expected(9, 1);
    const auto &pair = std::get<xp::Ints>(message.values.at(part + ".cluster_pair")).data,
               &right = std::get<xp::Ints>(message.values.at("right")).data;
    REQUIRE(pair.size() == right.size());
    int heard = 0;
    for (std::size_t i = 0; i < pair.size(); ++i)
      if (pair[i] >= 0) expected[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1, ++heard;
    CHECK(heard > 20);
    CHECK(state.child(part).child("sampler").ints("count").data == expected);
  }
  Fixture again(xp::testing::registry(), s);
  again.transform()->load(state);
  again.step = f.step;
  CHECK(again.load(texts()).dense("to.substituted_ids").equal(f.load(texts()).dense("to.substituted_ids")));
}

TEST_CASE("anneal is used as what it turns into, from the start") {
  const Table head{{"type", "classification"}};
  const auto can = [&](const Table& from, const Table& to) {
    auto s = spec(anneal(from, to, 0.0));
    s.dataset_fields.push_back({"label", "", -1}), s.dataset_fields.push_back({"mood", "", -1});
    s.categories["label"] = {"no", "yes"}, s.categories["mood"] = {"a", "b", "c"};
    Fixture f(xp::testing::registry(), s);
    auto items = texts(2);
    for (auto& group : items)
      for (auto& item : group) item.fields["label"] = item.fields["mood"] = xp::Ints{{0}};
    const auto handle = f.handle();
    if (!handle->can("predict")) return std::string();
    return std::string(handle->predict(f.load(items), to == head ? "label" : "mood").size(1) == 2 ? "label" : "mood");
  };
  const Table mood{{"type", "classification"}, {"field", "mood"}};
  CHECK(can(kMasked, head) == "label");
  CHECK(can(head, mood) == "mood");
  CHECK(can(mood, head) == "label");
  CHECK(can(mood, kNext) == "mood");  // that of `from`, as `to` has none
  CHECK(can(kMasked, kNext).empty());
}

TEST_CASE("anneal keeps what every objective keeps") {
  auto model = spec({}).model;
  model.erase("dropout");
  for (const double a : {0.0, 0.4, 1.0})
    CHECK(xp::testing::check_objective(xp::testing::registry(), anneal(kNext, kNext, a), {model}).empty());
}

/// Drops the last text of each group, or the last token of each text.
class Shorten final : public xp::Objective {
 public:
  struct Params {
    bool texts = false;
    static void describe(xp::Fields<Params>& f) { f.add(&Params::texts, "texts", "Whether it drops texts."); }
  };
  explicit Shorten(Params p) : texts_(p.texts) {}

  class Cut final : public xp::Transform {
   public:
    explicit Cut(bool texts) : texts_(texts) {}
    xp::FieldUse fields() const override { return {.reads = {"ids"}, .writes = {{"cut", "", 0}}}; }
    void apply(std::vector<xp::Example>& group, xp::RandomStream&) const override {
      if (texts_) return group.pop_back();
      for (auto& item : group) item.ints("ids").data.pop_back();
    }

   private:
    bool texts_;
  };

  void build(xp::BuildContext&) override {}
  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<Cut>(texts_); }
  xp::Counts counts(const xp::Batch&) const override { return {}; }
  xp::StepResult step(const xp::Batch&, xp::StepContext&) override { return {}; }

 private:
  bool texts_;
};

TEST_CASE("anneal refuses objectives that it cannot keep apart, none, and a share that is none") {
  xp::Registry registry;
  std::vector<std::string> libraries;
  for (const auto* info : xp::testing::catalogue().list())
    if (std::find(libraries.begin(), libraries.end(), info->library) == libraries.end())
      libraries.push_back(info->library);
  xp::load_plugins(registry, xp::testing::catalogue(), libraries);
  registry.adding_for("test", "", "");
  registry.add<Shorten>("shorten", "Drops the end.");
  for (const bool whole : {false, true}) {
    Fixture f(registry, spec(anneal(kMasked, {{"type", "shorten"}, {"texts", whole}}, 0.5)));
    CHECK_THROWS_WITH(f.load(texts()), ContainsSubstring(std::string("the transform of `to` changes ") +
                                                         (whole ? "the number of texts" : "the field `ids`")));
  }
  const auto make = [](const Table& table) { Fixture(xp::testing::registry(), spec(table)); };
  CHECK_THROWS_WITH(make(anneal(kMasked, kNext, 1.5)), ContainsSubstring("`a` is 1.5"));
  CHECK_THROWS_WITH(make({{"type", "anneal"}, {"from", kMasked}, {"to", "none"}}),
                    ContainsSubstring("`to` is none; an objective is needed"));
}

TEST_CASE("anneal trains from a recipe, from one objective to the other") {
  xp::testing::RecipeRun project;
  project.put("en.txt", xp::testing::planted_text(60));
  const std::string train = R"(
type      = "train"
model     = { type = "transformer", layers = 1, width = 16, heads = 2, max_time = 32 }
tokenizer = "tokens"
data      = "prose"
batch     = { tokens = 200 }
)";
  project.run(R"(
recipe  = 1
name    = "annealed"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 60, min_count = 1 }
corpus = "prose"
[stage.alone])" +
              train + R"(
stop      = "3 steps"
objective = { type = "mlm", mask_rate = 0.4 }
[stage.end])" +
              train + R"(
stop      = "3 steps"
objective = { type = "anneal", a = 1.0, from = { type = "causal_lm" }, to = { type = "mlm", mask_rate = 0.4 } }
[stage.moving])" +
              train + R"(
stop      = "6 steps"
objective = { type = "anneal", a = { from = 0.0, to = 1.0, until = "4 steps" }, from = { type = "causal_lm" }, to = { type = "mlm", mask_rate = 0.4, accuracy = true } }
)");
  const auto alone = project.checkpoint("alone"), end = project.checkpoint("end");
  for (xp::Param i = 0; i < alone.parameters.size(); ++i)
    CHECK(alone.parameters.values[i].equal(end.parameters.values[i]));
  const auto record = project.record("moving");
  std::vector<std::int64_t> to;
  for (const auto& point : record.curves.at("train.to.accuracy").points) to.push_back(point.at.steps);
  CHECK(to == std::vector<std::int64_t>{2, 3, 4, 5, 6});  // counted when they are done: the first has a = 0
  std::vector<double> a;
  for (const auto& point : record.curves.at("knob.a").points) a.push_back(point.value);
  CHECK(a == std::vector<double>{0.25, 0.5, 0.75, 1, 1, 1});
}

}  // namespace anneal_test
