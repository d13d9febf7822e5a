#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"

namespace over_views_test {

using Catch::Matchers::ContainsSubstring;
using xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

const List kSizes{List{1, 4}, List{1, 8}, List{2, 8}, List{2, 16}};
const Table kPairs{{"type", "in_batch_softmax"}, {"temperature", 0.5}};
const Table kAlign{{"type", "kl"}, {"to", "full"}, {"weight", 0.7}};

/// A list of one: braces around one list could mean a copy of it.
List only(List view) {
  List out;
  out.emplace_back(std::move(view));
  return out;
}

Table masked() { return {{"type", "mlm"}, {"mask_rate", 0.3}}; }
Table over(xp::Value views, Table task, bool align = false) {
  Table out{{"type", "over_views"}, {"views", std::move(views)}, {"task", std::move(task)}};
  if (align) out.insert_or_assign("align", kAlign);
  return out;
}

FixtureSpec spec(Table objective, std::int64_t layers = 2, at::ScalarType type = at::kDouble) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", layers}, {"width", 16}, {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.3}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

std::vector<std::vector<xp::Example>> pairs(int count) { return random_texts(spec({}), count, 2); }

TEST_CASE("over_views trains every view of one pass, the whole model as the plain task") {
  Fixture f(xp::testing::registry(), spec(over(kSizes, kPairs, true))), plain(xp::testing::registry(), spec(kPairs));
  const auto batch = f.load(pairs(6));
  const double loss = f.accumulate({batch});
  plain.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  CHECK(f.terms.at("2x16.contrast") == plain.terms.at("contrast"));
  CHECK(f.terms.size() == 7);
  double sum = 0;
  for (const auto& [name, value] : f.terms) sum += name.ends_with(".align") ? 0.7 * value : value;
  CHECK(std::abs(loss - sum) < 1e-12);
  CHECK(f.metrics.contains("1x4.accuracy"));
  CHECK(f.objective().batch_coupled());
  CHECK_THROWS_WITH(f.accumulate(xp::testing::split(batch, 4)), ContainsSubstring("cannot be split"));
}

TEST_CASE("over_views gives each view what the model cut to that size gives") {
  Fixture f(xp::testing::registry(), spec(over(kSizes, kPairs)));
  const auto batch = f.load(pairs(6));
  f.accumulate({batch});
  const auto& w = f.weights("primary").values;
  const xp::ForwardInput in{.ids = batch.dense("ids"), .mask = batch.dense("input.mask")};
  for (const auto& [view, name] :
       {std::pair(xp::View{1, 4}, "1x4"), std::pair(xp::View{1, 8}, "1x8"), std::pair(xp::View{2, 8}, "2x8")}) {
    const auto x = f.model("primary").forward(w, in, {.pooling = xp::Pooling::mean, .view = view}).pooled;
    const auto unit = (x / x.norm(2, {-1}, true)).view({-1, 2, view.width});
    const auto scores = unit.select(1, 0).matmul(unit.select(1, 1).t()) / 0.5;
    const double expected = -scores.log_softmax(1).diagonal().mean().item<double>();
    CHECK(std::abs(f.terms.at(std::string(name) + ".contrast") - expected) < 1e-12);
    Fixture one(xp::testing::registry(), spec(over(only(List{view.layers, view.width}), kPairs, true)));
    one.accumulate({batch});
    CHECK(std::abs(one.terms.at(std::string(name) + ".contrast") - expected) < 1e-12);
    CHECK(one.terms.size() == 1);  // nothing larger to follow
    CHECK(one.passes.at("primary") == 1);
  }
}

TEST_CASE("over_views aligns smaller views to the largest, which the alignment does not move") {
  Fixture f(xp::testing::registry(), spec(over(kSizes, kPairs, true)));
  auto groups = pairs(6);
  groups[4][1].fields["ids"] = groups[1][1].fields["ids"];  // a copy has no chance and costs nothing
  const auto batch = f.load(groups);
  const auto result = f.objective().step(batch, f.context());
  const auto share = [&](const std::string& view) { return result.published.at(view + ".scores").softmax(1); };
  const auto full = share("2x16");
  for (const std::string view : {"1x4", "1x8", "2x8"}) {
    const auto own = share(view);
    double expected = 0;
    for (std::int64_t i = 0; i < 6; ++i)
      for (std::int64_t j = 0; j < 6; ++j) {
        const double p = full[i][j].item<double>(), q = own[i][j].item<double>();
        if (p > 0) expected += p * std::log(p / q) / 6;
      }
    f.accumulate({batch}, view + ".align");
    CHECK(std::abs(f.terms.at(view + ".align") - expected) < 1e-12);
    CHECK(expected > 1e-4);
    double first = 0, second = 0;
    for (xp::Param i = 0; i < f.all().size(); ++i) {
      const auto& g = f.all().values[i].grad();
      const double most = g.defined() ? g.abs().max().item<double>() : 0;
      CHECK(std::isfinite(most));
      if (f.all().info[i].layer >= 0) (f.all().info[i].layer == 0 ? first : second) += most;
    }
    CHECK(first > 0);
    CHECK((second > 0) == (view == "2x8"));  // the full view uses the second layer, and is held fixed
  }
}

TEST_CASE("over_views has the gradients of finite differences without alignment") {
  Fixture f(xp::testing::registry(), spec(over(kSizes, kPairs)));
  CHECK(xp::testing::gradient_error(f, f.load(pairs(3)), 2) < 1e-6);
}

TEST_CASE("over_views grows its list evenly to the whole model") {
  Fixture four(xp::testing::registry(), spec(over("small_to_full", masked()), 4)),
      eight(xp::testing::registry(), spec(over("small_to_full", masked()), 8));
  const auto names = [](Fixture& f) {
    std::vector<std::string> out;
    f.accumulate({f.load(random_texts(spec({}), 2))});
    for (const auto& [name, value] : f.terms) out.push_back(name.substr(0, name.find('.')));
    return out;
  };
  CHECK(names(four) == std::vector<std::string>{"1x4", "2x8", "3x12", "4x16"});
  CHECK(names(eight) == std::vector<std::string>{"1x2", "2x5", "4x8", "5x10", "6x13", "8x16"});
  CHECK(four.passes.at("primary") == 1);
}

TEST_CASE("over_views of a sum costs one encoder pass and a decoder pass for each view") {
  const Table both{
      {"type", "sum"}, {"share", "pass"}, {"terms", List{masked(), Table{{"type", "masked_autoencoding"}}}}};
  Fixture f(xp::testing::registry(), spec(over(kSizes, both)));
  const auto batch = f.load(random_texts(spec({}), 12));
  const double before = f.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"decoder", 4}, {"primary", 1}});
  CHECK(f.terms.size() == 8);
  const auto exact = xp::testing::gradients(f);
  for (const int size : {4, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - before) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
  f.set("task.mlm.mask_rate", 0.9);
  const auto more = f.load(random_texts(spec({}), 12));
  CHECK(more.dense("labels").ge(0).sum().item<std::int64_t>() >
        2 * batch.dense("labels").ge(0).sum().item<std::int64_t>());
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before);
}

TEST_CASE("over_views changes no draw of its task") {
  Fixture plain(xp::testing::registry(), spec(masked())), f(xp::testing::registry(), spec(over(kSizes, masked())));
  const auto texts = random_texts(spec({}), 8);
  CHECK(plain.load(texts).dense("masked_ids").equal(f.load(texts).dense("masked_ids")));
}

TEST_CASE("over_views runs a pass for each view where only the model can pool") {
  auto task = kPairs;
  task.insert_or_assign("pooling", "own");
  Fixture f(xp::testing::registry(), spec(over(kSizes, task))),
      mean(xp::testing::registry(), spec(over(kSizes, kPairs)));
  const auto batch = f.load(pairs(4));
  CHECK(std::abs(f.accumulate({batch}) - mean.accumulate({batch})) < 1e-12);  // this model's own is the mean
  CHECK(f.passes.at("primary") == 4);
}

TEST_CASE("over_views draws a depth for each step, at all widths") {
  Fixture f(xp::testing::registry(), spec(over("random", kPairs, true), 4));
  const auto batch = f.load(pairs(3));
  std::map<double, int> seen;
  const at::NoGradGuard quiet;
  for (f.step = 0; f.step < 200; ++f.step) {
    f.accumulate({batch});
    ++seen[f.metrics.at("layers")];
  }
  CHECK(seen.size() == 4);
  for (const auto& [layers, count] : seen) CHECK(std::abs(count - 50.0) < 3 * std::sqrt(200 * 0.25 * 0.75));
  for (f.step = 0; f.step < 8; ++f.step) {
    f.accumulate({batch});
    const auto layers = static_cast<std::int64_t>(f.metrics.at("layers"));
    Fixture fixed(xp::testing::registry(),
                  spec(over(List{List{layers, 4}, List{layers, 8}, List{layers, 12}, List{layers, 16}}, kPairs), 4));
    fixed.accumulate({batch});
    CHECK(f.terms.size() == 8);
    for (const char* width : {"4", "8", "12", "16"})
      CHECK(std::abs(f.terms.at("random_x" + std::string(width) + ".contrast") -
                     fixed.terms.at(std::to_string(layers) + "x" + width + ".contrast")) < 1e-12);
    CHECK((f.terms.at("random_x16.align") == 0) == (layers == 4));
    CHECK(f.passes.at("primary") == 1);
  }
}

TEST_CASE("over_views draws one depth for all micro-batches") {
  Fixture f(xp::testing::registry(), spec(over("random", masked()), 4));
  const auto batch = f.load(random_texts(spec({}), 8));
  for (f.step = 0; f.step < 6; ++f.step) {
    const double whole = f.accumulate({batch});
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, 3)) - whole) < 1e-12);
    CHECK(f.metrics.at("layers") == std::floor(f.metrics.at("layers")));
  }
}

TEST_CASE("over_views keeps what every objective keeps") {
  const Table next{{"type", "causal_lm"}};
  for (const auto& views : {xp::Value(kSizes), xp::Value("random")})
    CHECK(xp::testing::check_objective(xp::testing::registry(), over(views, next), {spec({}).model}).empty());
}

TEST_CASE("over_views refuses views that are none, too large or twice there, and an alignment without scores") {
  const auto message = [](Table objective) {
    return [objective] { Fixture f(xp::testing::registry(), spec(objective)); };
  };
  CHECK_THROWS_WITH(message(over(only(List{1, 4, 2}), kPairs))(), ContainsSubstring("a view is [layers, width]"));
  CHECK_THROWS_WITH(message(over(only(List{0, 4}), kPairs))(), ContainsSubstring("views[0] is [0, 4]"));
  CHECK_THROWS_WITH(message(over(List{List{1, 4}, List{1, 4}}, kPairs))(), ContainsSubstring("stands there twice"));
  CHECK_THROWS_WITH(message(over(only(List{3, 8}), kPairs))(),
                    ContainsSubstring("view [3, 8] is larger than the model, which has 2 layers of width 16"));
  CHECK_THROWS_WITH(message(over("smallest", kPairs))(), ContainsSubstring("`views` is `smallest`"));
  CHECK_THROWS_WITH(message(over(List{}, kPairs))(), ContainsSubstring("`views` is empty"));
  CHECK_THROWS_WITH(message(over(List{List{1, 16}, List{2, 8}}, kPairs, true))(),
                    ContainsSubstring("as deep and as wide as all others"));
  Fixture silent(xp::testing::registry(), spec(over(kSizes, masked(), true)));
  CHECK_THROWS_WITH(silent.accumulate({silent.load(random_texts(spec({}), 2))}),
                    ContainsSubstring("`mlm` publishes none"));
  const Table two{{"type", "sum"}, {"terms", List{kPairs, masked()}}};
  Fixture many(xp::testing::registry(), spec(over(kSizes, two, true)));
  CHECK_THROWS_WITH(many.accumulate({many.load(pairs(2))}), ContainsSubstring("`sum` has 2"));
}

}  // namespace over_views_test
