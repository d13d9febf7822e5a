#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace match_features_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec(std::uint64_t seed = 1, xp::Table objective = {{"type", "mlm"}}) {
  FixtureSpec s;
  s.seed = seed;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = at::kDouble;
  return s;
}

xp::Checkpoint model(std::uint64_t seed, xp::Table more = {}) {
  auto s = spec(seed);
  for (auto& [key, value] : more) s.model.insert_or_assign(key, value);
  auto settings = s.model;
  settings.erase("type");
  auto out = Fixture(xp::testing::registry(), s).exported();
  out.settings = settings;
  return out;
}

xp::Table match(xp::Table more = {}) {
  more.insert_or_assign("type", "match_features");
  return more;
}

std::vector<at::Tensor> copies(const xp::Parameters& all) {
  std::vector<at::Tensor> out;
  for (const auto& value : all.values) out.push_back(value.detach().clone());
  return out;
}

TEST_CASE("match_features costs nothing while the teacher is the start, and the teacher never moves") {
  const auto base = model(1);
  auto s = spec(1, {{"type", "sum"}, {"terms", xp::List{xp::Table{{"type", "mlm"}, {"mask_rate", 0.3}}, match()}}});
  s.references["teacher"] = &base;
  Fixture f(xp::testing::registry(), s, &base);
  const auto batch = f.load(random_texts(s, 16));
  const auto before = copies(f.weights("teacher"));
  f.accumulate({batch});
  CHECK(f.terms.at("match_features.match") == 0);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 2}, {"teacher", 1}});
  for (int i = 0; i < 5; ++i) f.accumulate({batch}), f.update();
  f.accumulate({batch});
  CHECK(f.terms.at("match_features.match") > 0);
  CHECK(xp::testing::largest_difference(before, copies(f.weights("teacher"))) == 0);
  for (const auto& info : f.all().info) CHECK_FALSE(info.name.starts_with("teacher"));
  for (const auto& value : f.weights("teacher").values) {
    CHECK_FALSE(value.grad().defined());
    CHECK_FALSE(value.requires_grad());
  }
}

TEST_CASE("match_features drops out in the student's pass alone") {
  const auto base = model(1, {{"dropout", 0.3}});
  auto s = spec(1, match());
  s.references["teacher"] = &base;
  Fixture f(xp::testing::registry(), s, &base);
  const auto batch = f.load(random_texts(s, 8));
  CHECK(f.accumulate({batch}) > 0);
  const at::NoGradGuard quiet;  // evaluation does not drop out
  CHECK(f.accumulate({batch}) == 0);
}

TEST_CASE("match_features is the squared distance of pooled features, of the layer and the text that are asked for") {
  const auto teacher = model(1), student = model(2);
  struct Case {
    const char *on, *pooling;
    std::int64_t layer;
  };
  for (const auto& c : {Case{"unmasked", "mean", 0}, Case{"unmasked", "first", 1}, Case{"unmasked", "last", 0},
                        Case{"masked", "mean", 1}, Case{"masked", "mean", 2}}) {
    CAPTURE(c.on, c.pooling, c.layer);
    auto s = spec(2, {{"type", "sum"},
                      {"terms", xp::List{xp::Table{{"type", "mlm"}, {"mask_rate", 0.5}},
                                         match({{"on", c.on}, {"pooling", c.pooling}, {"layer", c.layer}})}}});
    s.references["teacher"] = &teacher;
    Fixture f(xp::testing::registry(), s, &student);
    const auto batch = f.load(random_texts(s, 8));
    f.accumulate({batch});
    const auto features = [&](const char* role) {
      const auto& mask = batch.dense("input.mask");
      const xp::ForwardInput in{.ids = batch.dense(std::string(c.on) == "masked" ? "masked_ids" : "ids"),
                                .mask = mask};
      const auto all = f.model(role).forward(f.weights(role).values, in, {.layers = true}).layers;
      const auto x = all.at(c.layer ? static_cast<std::size_t>(c.layer) : 2);
      if (std::string(c.pooling) == "first") return x.select(1, 0);
      if (std::string(c.pooling) == "mean") return (x * mask.unsqueeze(-1)).sum(1) / mask.sum(1, true);
      std::vector<at::Tensor> last;
      for (std::int64_t i = 0; i < 8; ++i) last.push_back(x[i][mask[i].sum().item<std::int64_t>() - 1]);
      return xp::ops::stack(last);
    };
    const double expected = (features("primary") - features("teacher")).square().sum(1).mean().item<double>();
    CHECK(std::abs(f.terms.at("match_features.match") - expected) < 1e-12);
    CHECK(expected > 1e-3);
  }
}

TEST_CASE("match_features has the gradients of finite differences") {
  const auto teacher = model(1);
  auto s = spec(2, match({{"layer", 1}}));
  s.references["teacher"] = &teacher;
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(random_texts(s, 4));
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
  for (xp::Param i = 0; i < f.all().size(); ++i)  // what lies above the layer has none
    if (f.all().info[i].layer == 1)
      CHECK((!f.all().values[i].grad().defined() || f.all().values[i].grad().abs().max().item<double>() == 0));
}

TEST_CASE("match_features refuses models and layers that do not fit, and a masking that nobody does") {
  const auto wide = model(1, {{"width", 32}}), teacher = model(1);
  const auto make = [](const xp::Checkpoint& reference, xp::Table objective) {
    auto s = spec(1, match(std::move(objective)));
    s.references["teacher"] = &reference;
    return std::make_unique<Fixture>(xp::testing::registry(), s);
  };
  CHECK_THROWS_WITH(make(wide, {}), ContainsSubstring("are 32 wide, those of the model 16"));
  CHECK_THROWS_WITH(make(teacher, {{"layer", 3}}), ContainsSubstring("`layer` is 3, and the model has 2 layers"));
  const auto f = make(teacher, {{"on", "masked"}});
  CHECK_THROWS_WITH(f->accumulate({f->load(random_texts(spec(), 2))}), ContainsSubstring("none does"));
}

}  // namespace match_features_test
