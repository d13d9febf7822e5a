#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace regression_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table objective = {}, at::ScalarType type = at::kDouble) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.3}};
  objective.insert_or_assign("type", "regression");
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// The share of a text's tokens that are of the first half of the vocabulary, which differs widely.
xp::Batch texts(Fixture& f, const FixtureSpec& s, int count, std::uint64_t seed, double a = 1, double b = 0) {
  auto all = xp::testing::random_texts(s, count, 1, seed);
  std::vector<double> shares;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& ids = all[i][0].ints("ids").data;
    double low = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const bool first =
          static_cast<double>(t) < static_cast<double>((i * 5) % 11) / 10 * static_cast<double>(ids.size());
      ids[t] = 25 + ids[t] % 11 + (first ? 0 : 11), low += first;
    }
    shares.push_back(a * low / static_cast<double>(ids.size()) + b);
  }
  auto batch = f.load(all);
  batch.set("score", xp::ops::tensor(shares, at::kFloat));
  return batch;
}

at::Tensor parameter(const Fixture& f, const char* name) {
  auto& all = const_cast<Fixture&>(f).all();
  return all.values[all.find(std::string("objective.") + name)].detach();
}

/// What the head gives of a pooled output, by plain sums.
double head_of(const Fixture& f, const at::Tensor& x, int hidden) {
  std::vector<double> in;
  for (std::int64_t k = 0; k < x.numel(); ++k) in.push_back(x[k].item<double>());
  const auto layer = [](const std::vector<double>& from, const at::Tensor& weight, const at::Tensor& bias) {
    std::vector<double> out;
    for (std::int64_t o = 0; o < weight.size(0); ++o) {
      out.push_back(bias[o].item<double>());
      for (std::int64_t k = 0; k < weight.size(1); ++k)
        out.back() += weight[o][k].item<double>() * from[static_cast<std::size_t>(k)];
    }
    return out;
  };
  if (hidden) {
    in = layer(in, parameter(f, "dense"), parameter(f, "dense.bias"));
    for (auto& v : in) v = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
  }
  return layer(in, parameter(f, "output"), parameter(f, "output.bias")).at(0);
}

TEST_CASE("regression costs the squared difference from the standardised number, its error is in the field's unit") {
  for (const char* pooling : {"first", "mean", "last"}) {
    for (const int hidden : {0, 5}) {
      CAPTURE(pooling, hidden);
      const auto s = spec({{"pooling", pooling}, {"hidden", hidden}, {"mean", 40.0}, {"scale", 8.0}});
      Fixture f(xp::testing::registry(), s);
      const at::NoGradGuard quiet;
      for (auto& value : f.all().values) value.add_(0.05);  // so that biases matter
      const auto batch = texts(f, s, 9, 3, 20, 30);
      const auto result = f.objective().step(batch, f.context());
      REQUIRE(result.terms.size() == 1);
      CHECK(result.terms[0].name == "regression");
      const auto& mask = batch.dense("input.mask");
      const auto tokens =
          f.model("primary")
              .forward(f.weights("primary").values, {.ids = batch.dense("ids"), .mask = mask}, {.tokens = true})
              .tokens;
      const auto predicted = f.handle()->predict(batch, "score");
      REQUIRE(predicted.sizes() == at::IntArrayRef({9, 1}));
      double error = 0;
      for (std::int64_t i = 0; i < 9; ++i) {
        const auto n = mask[i].sum().item<std::int64_t>();
        const auto x = std::string(pooling) == "first"  ? tokens[i][0]
                       : std::string(pooling) == "last" ? tokens[i][n - 1]
                                                        : tokens[i].narrow(0, 0, n).mean(0);
        const double z = head_of(f, x, hidden), y = batch.dense("score")[i].item<double>();
        CHECK(std::abs(result.terms[0].sum[i].item<double>() - std::pow(z - (y - 40) / 8, 2)) < 1e-10);
        CHECK(std::abs(predicted[i][0].item<double>() - (z * 8 + 40)) < 1e-10);
        error += std::abs(z * 8 + 40 - y);
      }
      CHECK(result.metrics.at(0).name == "error");
      CHECK(std::abs(result.metrics[0].sum.item<double>() - error) < 1e-9);
      CHECK(result.metrics[0].count.item<double>() == 9);
    }
  }
}

TEST_CASE("regression learns a number of any unit and predicts it through its handle") {
  for (const auto& [a, b] : {std::pair(4.0, -2.0), std::pair(1000.0, 5000.0)}) {
    CAPTURE(a, b);
    const auto s = spec({{"mean", a / 2 + b}, {"scale", a * 0.3}, {"hidden", 8}, {"dropout", 0.05}}, at::kFloat);
    Fixture f(xp::testing::registry(), s);
    for (int step = 0; step < 80; ++step) {
      f.accumulate({texts(f, s, 24, 100 + static_cast<std::uint64_t>(step), a, b)});
      f.update(1e-2, 0);
    }
    CHECK(f.metrics.at("error") < 0.1 * a);
    const at::NoGradGuard quiet;
    const auto fresh = texts(f, s, 33, 7, a, b);
    const auto handle = f.handle();
    REQUIRE(handle->can("predict"));
    CHECK(handle->can("encode"));
    const auto off = handle->predict(fresh, "score").squeeze(1) - fresh.dense("score");
    const auto spread = fresh.dense("score") - fresh.dense("score").mean();
    CHECK(off.square().mean().item<double>() < 0.1 * spread.square().mean().item<double>());
    CHECK_THROWS_WITH(handle->predict(fresh, "label"),
                      ContainsSubstring("the model predicts numbers by `score`, not by `label`"));
  }
}

TEST_CASE("regression: another unit with mean and scale to match changes nothing but the unit") {
  const auto plain = spec({{"mean", 0.5}, {"scale", 0.25}}), other = spec({{"mean", 57.0}, {"scale", 1.0}});
  Fixture a(xp::testing::registry(), plain), b(xp::testing::registry(), other);
  const auto of_a = texts(a, plain, 12, 5), of_b = texts(b, other, 12, 5, 4, 55);  // y' = 4 y + 55
  CHECK(std::abs(a.accumulate({of_a}) - b.accumulate({of_b})) < 1e-5);
  CHECK(xp::testing::largest_difference(xp::testing::gradients(a), xp::testing::gradients(b)) < 1e-5);
  CHECK(std::abs(4 * a.metrics.at("error") - b.metrics.at("error")) < 1e-5);
  const at::NoGradGuard quiet;
  const auto ours = a.handle()->predict(of_a, "score"), theirs = b.handle()->predict(of_b, "score");
  CHECK((ours * 4 + 55 - theirs).abs().max().item<double>() < 1e-10);
}

TEST_CASE("regression counts items, and micro-batches add up") {
  const auto s = spec({{"hidden", 4}, {"dropout", 0.2}});
  Fixture f(xp::testing::registry(), s);
  const auto batch = texts(f, s, 32, 1);
  CHECK(f.objective().counts(batch).at("regression").equal(xp::ops::ones({32}, at::kLong)));
  const double whole = f.accumulate({batch}), error = f.metrics.at("error");
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 5}) {  // dropout is keyed by item, so it splits as well
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-12);
    CHECK(std::abs(f.metrics.at("error") - error) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
}

TEST_CASE("gradients of regression are those of finite differences") {
  const auto s = spec({{"hidden", 4}, {"mean", 0.4}, {"scale", 0.3}});
  Fixture f(xp::testing::registry(), s);
  CHECK(xp::testing::gradient_error(f, texts(f, s, 4, 1)) < 1e-6);
}

TEST_CASE("regression drops out of the pooled output in training only, at its rate, and scales the rest") {
  const auto s = spec({{"dropout", 0.3}});
  Fixture f(xp::testing::registry(), s);
  Fixture sure(xp::testing::registry(), spec());
  const auto batch = texts(f, s, 60, 1);
  double dropped = 0, all = 0;
  for (const auto& one : xp::testing::split(batch, 1)) {
    at::Tensor pooled;
    {
      const at::NoGradGuard quiet;
      CHECK(f.handle()->predict(one, "score").equal(sure.handle()->predict(one, "score")));
      pooled = f.handle()->encode(one, {.pooling = xp::Pooling::mean}).pooled[0];
    }
    f.accumulate({one});
    const auto& all_of = f.all();
    const auto slope = all_of.values[all_of.find("objective.output.bias")].grad()[0].item<double>();
    const auto gradient = all_of.values[all_of.find("objective.output")].grad()[0];
    REQUIRE(std::abs(slope) > 1e-9);
    for (std::int64_t k = 0; k < 16; ++k) {
      const double kept = gradient[k].item<double>() / slope;  // the input of the head
      ++all, dropped += kept == 0;
      if (kept != 0) CHECK(std::abs(kept - pooled[k].item<double>() / 0.7) < 1e-9);
    }
  }
  CHECK(std::abs(dropped / all - 0.3) < 3 * std::sqrt(0.3 * 0.7 / all));
}

TEST_CASE("regression: half precision does not round numbers far from zero") {
  const auto s = spec({}, at::kBFloat16), far = spec({{"mean", 1000.0}}, at::kBFloat16);
  Fixture f(xp::testing::registry(), s), g(xp::testing::registry(), far);
  const at::NoGradGuard quiet;
  const auto batch = texts(f, s, 8, 1);
  const auto near_zero = f.handle()->predict(batch, "score"), shifted = g.handle()->predict(batch, "score");
  CHECK(shifted.scalar_type() == at::kFloat);
  CHECK((near_zero.to(at::kDouble) + 1000 - shifted.to(at::kDouble)).abs().max().item<double>() < 1e-3);
  CHECK(near_zero.std().item<double>() > 0.01);  // which steps of 4, those of bfloat16 there, would hide
}

TEST_CASE("the head of regression stays with the model") {
  Fixture f(xp::testing::registry(), spec());
  int heads = 0;
  for (std::size_t i = 0; i < f.all().size(); ++i) {
    const auto& info = f.all().info[i];
    if (!info.name.starts_with("objective.")) continue;
    ++heads;
    CHECK(info.role == "head");
    CHECK(info.lifetime == xp::Lifetime::keep);
    CHECK(f.all().values[i].size(0) == 1);
  }
  CHECK(heads == 2);
}

TEST_CASE("regression refuses a field that is missing or has no number per item") {
  const auto s = spec();
  Fixture f(xp::testing::registry(), s);
  const auto without = f.load(xp::testing::random_texts(s, 3));
  CHECK_THROWS_WITH(f.accumulate({without}),
                    ContainsSubstring("the data have no number in the field `score` of every document"));
  Fixture tokens(xp::testing::registry(), spec({{"field", "ids"}}));
  CHECK_THROWS_WITH(tokens.accumulate({without}), ContainsSubstring("field `ids` has 2 axes; regression needs one"));
  Fixture named(xp::testing::registry(), spec({{"field", "source"}}));
  CHECK_THROWS_WITH(named.accumulate({without}), ContainsSubstring("`source`"));
}

}  // namespace regression_test
