#include <c10/core/GradMode.h>

#include <algorithm>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/objective.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"

namespace position_prediction_test {

using at::Tensor;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec(xp::Table objective = {}, xp::Table model = {}, at::ScalarType type = at::kDouble) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 2},    {"width", 16},        {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.3}, {"positions", "none"}};
  for (auto& [key, value] : model) s.model.insert_or_assign(key, value);
  s.objective = {{"type", "position_prediction"}, {"max_length", 24}};
  for (auto& [key, value] : objective) s.objective.insert_or_assign(key, value);
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// Groups of one text each.
std::vector<std::vector<xp::Example>> texts(const std::vector<std::vector<std::int64_t>>& ids) {
  std::vector<std::vector<xp::Example>> out;
  for (std::int64_t i = 0; i < std::ssize(ids); ++i) {
    xp::Example item{i, i, "source"};
    item.fields["ids"] = xp::Ints{ids[static_cast<std::size_t>(i)]};
    out.push_back({std::move(item)});
  }
  return out;
}

/// The logits of all tokens of full texts that stand for text, of the places there are: [items, time, time].
Tensor logits(Fixture& f, const xp::Batch& batch) {
  const at::NoGradGuard quiet;
  const auto time = batch.dense("ids").size(1);
  const auto rows = f.objective().step(batch, f.context()).published.at("logits");
  REQUIRE(rows.size(0) == batch.items() * time);
  return rows.narrow(1, 0, time).reshape({batch.items(), time, time});
}

double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }
std::int64_t at(const Tensor& x, std::int64_t i, std::int64_t t) { return x[i][t].item<std::int64_t>(); }

// Finite differences, counts for all terms, the same loss for every order, padding and split into micro-batches.
TEST_CASE("position_prediction keeps what every objective promises") {
  const auto s = spec({{"max_length", 32}}, {{"layers", 1}, {"width", 8}});
  CHECK(xp::testing::check_objective(xp::testing::registry(), s.objective, {s.model}).empty());
}

TEST_CASE("position_prediction asks for every token that stands for text, padding left out") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(texts({{1, 25, 30, 2}, {1, 26, 27, 28, 29, 2}}));  // 1 and 2 are reserved
  const auto& labels = batch.dense("position_labels");
  CHECK(labels[0].equal(xp::ops::tensor({-1, 1, 2, -1, -1, -1}, at::kLong)));
  CHECK(labels[1].equal(xp::ops::tensor({-1, 1, 2, 3, 4, -1}, at::kLong)));
  CHECK(f.objective().counts(batch).at("position").equal(xp::ops::tensor({2, 4}, at::kLong)));
}

TEST_CASE("position_prediction draws the same share of each text, every token as often, and at least one") {
  Fixture f(xp::testing::registry(), spec({{"mask_rate", 0.7}}));
  const int items = 4000;
  auto some = random_texts(spec(), items, 1, 7, 10);
  some.push_back(texts({{25, 26}, {25}}).at(1));
  some.back().at(0).sample_id = some.back().at(0).group_id = items;
  const auto batch = f.load(some);
  const auto read = batch.dense("position_keys");
  CHECK(read.narrow(0, 0, items).sum(1).eq(3).all().item<bool>());  // 30 % of 10
  CHECK(read[items].sum().item<std::int64_t>() == 1);               // of one token
  const auto share = read.narrow(0, 0, items).to(at::kDouble).mean(0);
  const double error = std::sqrt(0.3 * 0.7 / items);
  CHECK((share - 0.3).abs().max().item<double>() < 4 * error);
  f.set("mask_rate", 0);
  CHECK(f.load(random_texts(spec(), 3, 1, 7, 10)).dense("position_keys").eq(1).all().item<bool>());
}

/// Every text alone, without padding, its keys by their places; sums in a loop.
TEST_CASE("position_prediction is the mean cross entropy of the places that the text has") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(random_texts(spec(), 6));
  const double found = f.accumulate({batch});
  const at::NoGradGuard quiet;
  const auto &ids = batch.dense("ids"), &read = batch.dense("position_keys");
  const auto& all = f.all();
  const auto head = all.values[all.find("objective.output")], bias = all.values[all.find("objective.output.bias")];
  bias.copy_(xp::ops::arange(24, at::kDouble) * 0.1);
  CHECK(std::abs(f.accumulate({batch}) - found) > 1e-3);
  double nats = 0, right = 0, tokens = 0, once = 0, right_once = 0, kinds = 0;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto time = batch.dense("input.mask")[i].sum().item<std::int64_t>();
    std::vector<std::int64_t> keys;
    std::map<std::int64_t, int> times;
    for (std::int64_t t = 0; t < time; ++t) {
      if (at(read, i, t)) keys.push_back(t);
      ++times[at(ids, i, t)];
    }
    REQUIRE(std::ssize(keys) == std::llround(0.5 * static_cast<double>(time)));
    const auto states =
        f.model("primary")
            .forward(f.weights("primary").values,
                     {.ids = ids[i].narrow(0, 0, time).unsqueeze(0), .keys = xp::ops::tensor(keys)}, {.tokens = true})
            .tokens[0];
    for (std::int64_t t = 0; t < time; ++t) {
      std::vector<double> scores;
      for (std::int64_t c = 0; c < time; ++c)
        scores.push_back(((states[t] * head[c]).sum() + bias[c]).item<double>());
      double sum = 0;
      for (const double score : scores) sum += std::exp(score);
      nats += std::log(sum) - scores[static_cast<std::size_t>(t)];
      const bool hit = std::ranges::max_element(scores) - scores.begin() == t, single = times[at(ids, i, t)] == 1;
      right += hit, once += single, right_once += hit && single, ++tokens;
    }
    kinds += static_cast<double>(times.size());
  }
  CHECK(std::abs(f.accumulate({batch}) - nats / tokens) < 1e-10);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  REQUIRE((kinds < tokens && once < kinds && right > 0 && right_once > 0));
  CHECK(std::abs(f.metrics.at("accuracy") - right / tokens) < 1e-12);
  CHECK(std::abs(f.metrics.at("unique_accuracy") - right_once / once) < 1e-12);
  CHECK(std::abs(f.metrics.at("ceiling") - kinds / tokens) < 1e-6);
}

TEST_CASE("position_prediction of tokens in another order, read by the same ones, is the same in that order") {
  Fixture f(xp::testing::registry(), spec());
  auto batch = f.load(random_texts(spec(), 3, 1, 7, 8));
  const auto before = logits(f, batch);
  const auto shuffle = xp::ops::tensor({3, 0, 5, 1, 7, 4, 2, 6}, at::kLong);
  const auto keys = batch.dense("position_keys");
  batch.set("ids", batch.dense("ids").index_select(1, shuffle));
  const auto other_keys = logits(f, batch);
  batch.set("position_keys", keys.index_select(1, shuffle));
  CHECK(apart(logits(f, batch), before.index_select(1, shuffle)) < 1e-12);
  CHECK(apart(logits(f, batch), before) > 1e-3);
  CHECK(apart(other_keys, before.index_select(1, shuffle)) > 1e-3);
}

TEST_CASE("position_prediction gives equal tokens of a text equal logits, whether they are read or not") {
  Fixture f(xp::testing::registry(), spec());
  auto batch = f.load(texts({{25, 30, 25, 31, 25, 32}, {25, 33, 34, 35, 36, 37}}));
  batch.set("position_keys", xp::ops::tensor({1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1}, at::kLong).view({2, 6}));
  const auto all = logits(f, batch);
  CHECK(apart(all[0][0], all[0][2]) < 1e-12);
  CHECK(apart(all[0][0], all[0][4]) < 1e-12);
  CHECK(apart(all[0][0], all[0][1]) > 1e-3);
  CHECK(apart(all[0][0], all[1][0]) > 1e-3);  // the same token in another text
}

TEST_CASE("what position_prediction does not read changes the logits of no other token") {
  Fixture f(xp::testing::registry(), spec());
  auto batch = f.load(random_texts(spec(), 1, 1, 7, 6));
  batch.set("position_keys", xp::ops::tensor({0, 1, 1, 0, 0, 1}, at::kLong).unsqueeze(0));
  const auto before = logits(f, batch)[0];
  for (std::int64_t changed = 0; changed < 6; ++changed) {
    CAPTURE(changed);
    const auto ids = batch.dense("ids");
    auto other = ids.clone();
    other[0][changed] = 25 + (at(ids, 0, changed) - 25 + 11) % 23;
    batch.set("ids", other);
    const auto moved = (logits(f, batch)[0] - before).abs().amax(1);
    for (std::int64_t t = 0; t < 6; ++t) {
      const double by = moved[t].item<double>();
      CHECK((t == changed || changed == 1 || changed == 2 || changed == 5 ? by > 1e-6 : by < 1e-12));
    }
    batch.set("ids", ids);
  }
}

TEST_CASE("micro-batches of position_prediction add up to the whole batch") {
  Fixture f(xp::testing::registry(), spec({}, {{"dropout", 0.1}}, at::kFloat));
  const auto batch = f.load(random_texts(spec(), 32));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  {
    const at::NoGradGuard quiet;  // evaluation does not drop out, training does
    CHECK(std::abs(f.accumulate({batch}) - whole) > 1e-4);
  }
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-6 * std::abs(whole));
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
  }
}

TEST_CASE("position_prediction trains the model and its own head, which stays behind") {
  Fixture f(xp::testing::registry(), spec());
  f.accumulate({f.load(random_texts(spec(), 8))});
  const auto& all = f.all();
  std::set<std::string> own;
  for (xp::Param i = 0; i < all.size(); ++i) {
    const auto& info = all.info[i];
    CAPTURE(info.name);
    const bool head = info.name.starts_with("objective.");
    if (head) own.insert(info.name);
    CHECK((info.lifetime == xp::Lifetime::pretrain_only) == head);
    // A constant added to all keys changes no softmax, and the model's own head is not asked.
    if (info.name.ends_with("key.bias") || info.name.starts_with("primary.head.")) continue;
    REQUIRE(all.values[i].grad().defined());
    CHECK(all.values[i].grad().abs().max().item<double>() > 1e-9);
  }
  CHECK(own == std::set<std::string>{"objective.output", "objective.output.bias"});
  for (const auto& info : f.exported().parameters.info) CHECK_FALSE(own.contains("objective." + info.name));
}

// Sorted texts of five of nine tokens: where a token stands is how many smaller ones the text has.
TEST_CASE("a model without positions learns where tokens stand, also in texts it was not trained with") {
  Fixture f(xp::testing::registry(),
            spec({{"mask_rate", 0.2}, {"max_length", 5}}, {{"layers", 1}, {"init_sd", 0.2}}, at::kFloat));
  std::vector<std::vector<std::int64_t>> seen, unseen;
  for (int left_out = 0; left_out < 1 << 9; ++left_out) {
    if (std::popcount(static_cast<unsigned>(left_out)) != 4) continue;
    std::vector<std::int64_t> text;
    for (int id = 0; id < 9; ++id)
      if (!(left_out >> id & 1)) text.push_back(25 + id);
    (left_out % 5 == 0 ? unseen : seen).push_back(std::move(text));
  }
  const auto test = f.load(texts(unseen));
  CHECK(f.accumulate({test}) > 0.9 * std::log(5.0));
  for (int i = 0; i < 40; ++i) {
    auto again = texts(seen);
    for (auto& group : again) group[0].group_id += 1000 * i;  // another draw of what is read
    f.accumulate({f.load(again)}), f.update(1e-2, 0);
  }
  CHECK(f.accumulate({test}) < 0.5 * std::log(5.0));
  CHECK(f.metrics.at("accuracy") > 0.6);
  CHECK(f.metrics.at("ceiling") == 1);
}

TEST_CASE("position_prediction refuses a model that is told positions, and options out of range") {
  const auto make = [](xp::Table objective, xp::Table model = {}) {
    return std::make_unique<Fixture>(xp::testing::registry(), spec(std::move(objective), std::move(model)));
  };
  const char* kind = GENERATE("learned", "sinusoidal", "rotary", "relative");
  CHECK_THROWS_WITH(make({}, {{"positions", kind}}),
                    ContainsSubstring("`positions` is \"" + std::string(kind) + "\"") &&
                        ContainsSubstring("needs a model with positions = \"none\""));
  CHECK_THROWS_WITH(make({{"max_length", 1}}), ContainsSubstring("`max_length` is 1"));
  CHECK_THROWS_WITH(make({{"mask_rate", 1.0}}), ContainsSubstring("`mask_rate` is 1"));
  CHECK_THROWS_WITH(make({{"mask_rate", -0.1}}), ContainsSubstring("`mask_rate` is -0.1"));
  const auto f = make({{"max_length", 5}});
  CHECK_THROWS_WITH(f->set("mask_rate", 2), ContainsSubstring("`mask_rate` is 2"));
  CHECK_THROWS_WITH(f->load(random_texts(spec(), 1, 1, 7, 6)),
                    ContainsSubstring("a text has 6 tokens") && ContainsSubstring("`max_length` is 5"));
  CHECK_NOTHROW(f->load(random_texts(spec(), 1, 1, 7, 5)));
}

}  // namespace position_prediction_test
