#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/checkpoint_transform.h"
#include "api/ops.h"
#include "kit/checkpoint_algebra.h"
#include "kit/torch_operators.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"
#include "testing/torch_toy_build.h"

namespace merge_test {

using Catch::Matchers::ContainsSubstring;
using xp::Checkpoint, xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec() {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.3}};
  s.objective = {{"type", "mlm"}, {"mask_rate", 0.3}};
  s.optimizer = {{"type", "adamw"}};
  s.type = at::kDouble;
  return s;
}

Checkpoint start() {
  auto s = spec();
  auto out = Fixture(xp::testing::registry(), s).exported();
  s.model.erase("type");
  out.settings = s.model;
  return out;
}

/// The start, and three that went different ways from there.
struct Scene {
  Checkpoint base = start(), a = moved(1, 0.1), b = moved(2, 0.05), c = moved(3, 0.1);

  Checkpoint moved(std::uint64_t seed, double by) const {
    auto out = xp::without_state(base);
    for (xp::Param i = 0; i < out.parameters.size(); ++i) {
      const auto random = xp::RandomStreams(seed, out.parameters.info[i].name).stream();
      const auto& value = base.parameters.values[i];
      out.parameters.values[i] = value + xp::testing::toy_normal(random, value.sizes().vec(), {0, by}, at::kDouble);
    }
    return out;
  }

  FixtureSpec spec_of(const char* method, xp::Value learn, bool with_base = true) const {
    auto s = spec();
    s.checkpoints = {{"base", &base}, {"tuned[x]", &a}, {"tuned[y]", &b}, {"tuned[z]", &c}};
    const xp::Reference all{.text = "tuned[*]", .kind = "checkpoint"};
    s.model = {{"type", "merge"},
               {"of", List{all, all, all}},  // as the reader of recipes resolves it: once for each member
               {"method", Table{{"type", method}}},
               {"learn", std::move(learn)}};
    if (with_base) s.model.insert_or_assign("from", xp::Reference{.text = "base", .kind = "checkpoint"});
    return s;
  }

  Checkpoint by_hand(const char* method, const std::vector<double>& numbers) const {
    const std::vector<const Checkpoint*> inputs{&a, &b, &c};
    return xp::testing::registry()
        .make<xp::CheckpointTransform>({{"type", method}})
        ->apply(inputs, &base, xp::ops::tensor(numbers, at::kDouble), xp::RandomStreams(0));
  }
};

std::vector<at::Tensor> copies(const Checkpoint& c) {
  std::vector<at::Tensor> out;
  for (const auto& value : c.parameters.values) out.push_back(value.detach().clone());
  return out;
}

const List kAll{"position", "scale"};

TEST_CASE("merge runs as the model that its numbers make, and learns nothing but them") {
  const Scene scene;
  Fixture f(xp::testing::registry(), scene.spec_of("slerp", kAll));
  const auto batch = f.load(random_texts(spec(), 16));
  std::vector<std::string> names;
  for (const auto& info : f.all().info) names.push_back(info.name);
  CHECK(names ==
        std::vector<std::string>{"primary.position.0", "primary.position.1", "primary.position.2", "primary.scale"});
  {
    const at::NoGradGuard quiet;
    const double numbers[] = {0.8, 1.3, 0.6, 1.7};
    for (xp::Param i = 0; i < 4; ++i) f.all().values[i].fill_(numbers[i]);
  }
  const auto merged = scene.by_hand("slerp", {0.8, 1.3, 0.6, 1.7});
  Fixture plain(xp::testing::registry(), spec(), &merged);
  CHECK(f.accumulate({batch}) == plain.accumulate({batch}));
  for (const auto& x : f.all().values) CHECK(std::abs(x.grad().item<double>()) > 0);
  CHECK(xp::testing::gradient_error(f, batch, 1) < 1e-6);
  const auto out = f.exported();
  CHECK(out.type == "transformer");
  REQUIRE(out.parameters.size() == scene.base.parameters.size());
  for (xp::Param i = 0; i < out.parameters.size(); ++i) {
    CHECK(out.parameters.info[i].name == scene.base.parameters.info[i].name);
    CHECK(out.parameters.values[i].equal(merged.parameters.values[i]));
    CHECK_FALSE(out.parameters.values[i].requires_grad());
  }
  Fixture again(xp::testing::registry(), spec(), &out);
  CHECK(again.accumulate({batch}) == plain.accumulate({batch}));
}

TEST_CASE("merge lowers the loss and leaves what it merges alone") {
  const Scene scene;
  Fixture f(xp::testing::registry(), scene.spec_of("slerp", kAll));
  const auto batch = f.load(random_texts(spec(), 16));
  std::vector<std::vector<at::Tensor>> before;
  const std::vector<const Checkpoint*> all{&scene.base, &scene.a, &scene.b, &scene.c};
  for (const auto* c : all) before.push_back(copies(*c));
  const double first = f.accumulate({batch});
  for (int i = 0; i < 30; ++i) f.accumulate({batch}), f.update(5e-2, 0);
  CHECK(f.accumulate({batch}) < first);
  for (std::size_t k = 0; k < all.size(); ++k) {
    CHECK(xp::testing::largest_difference(before[k], copies(*all[k])) == 0);
    for (const auto& x : all[k]->parameters.values) CHECK((!x.grad().defined() && !x.requires_grad()));
  }
}

TEST_CASE("merge learns the numbers that are asked for; the others stay") {
  const Scene scene;
  const auto batch = Fixture(xp::testing::registry(), spec()).load(random_texts(spec(), 8));
  const auto count = [&](xp::Value learn) {
    Fixture f(xp::testing::registry(), scene.spec_of("slerp", std::move(learn)));
    const double start = f.accumulate({batch});
    const auto merged = scene.by_hand("slerp", {1, 1, 1, 1});
    Fixture plain(xp::testing::registry(), spec(), &merged);
    CHECK(start == plain.accumulate({batch}));
    return f.all().size();
  };
  CHECK(count(kAll) == 4);
  CHECK(count(List{"scale"}) == 1);
  CHECK(count(List{"position"}) == 3);
  CHECK(count("*") == 4);
  CHECK(count("none") == 0);
  Fixture f(xp::testing::registry(), scene.spec_of("slerp", List{"scale"}));
  f.accumulate({batch}), f.update(0.1, 0);
  const double scale = f.all().values[0].item<double>();
  CHECK(scale != 1);
  const auto merged = scene.by_hand("slerp", {1, 1, 1, scale});
  Fixture plain(xp::testing::registry(), spec(), &merged);
  CHECK(f.accumulate({batch}) == plain.accumulate({batch}));
}

TEST_CASE("merge serves any method with coefficients, with and without a base") {
  const Scene scene;
  Fixture f(xp::testing::registry(), scene.spec_of("linear_merge", "weight", false));
  const auto batch = f.load(random_texts(spec(), 8));
  const auto mean = scene.by_hand("linear_merge", {1, 1, 1});
  Fixture plain(xp::testing::registry(), spec(), &mean);
  CHECK(f.accumulate({batch}) == plain.accumulate({batch}));
  CHECK(f.all().size() == 3);
  CHECK(xp::testing::gradient_error(f, batch, 1) < 1e-6);
}

TEST_CASE("merge is made once for the passes of a step, and anew for the next") {
  const Scene scene;
  Fixture f(xp::testing::registry(), scene.spec_of("slerp", kAll));
  const auto& w = f.weights("primary").values;
  const auto& model = f.model("primary");
  const auto ids = xp::ops::arange(25, 35, at::kLong).unsqueeze(0);
  const auto pass = [&] { return model.forward(w, {.ids = ids}, {.tokens = true}).tokens.square().sum(); };
  auto one = pass(), other = pass();
  one.backward();
  CHECK_THROWS(other.backward());  // both stand on one merge, whose way back is used up
  CHECK_NOTHROW(pass().backward());
  const double before = pass().item<double>();
  const auto still = [&] {
    const at::NoGradGuard quiet;
    return pass().item<double>();
  };
  CHECK(still() == before);
  {
    const at::NoGradGuard quiet;
    f.all().values[3].mutable_data_ptr<double>()[0] = 0.5;  // past all version counters
  }
  CHECK(still() != before);
  CHECK(pass().item<double>() == still());
  const auto batch = f.load(random_texts(spec(), 9));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  CHECK(std::abs(f.accumulate(xp::testing::split(batch, 4)) - whole) < 1e-12);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
}

TEST_CASE("merge offers what the merged models offer") {
  const Scene scene;
  Fixture f(xp::testing::registry(), scene.spec_of("slerp", kAll)), plain(xp::testing::registry(), spec());
  CHECK(f.model("primary").capabilities() == plain.model("primary").capabilities());
  CHECK(f.model("primary").shape().width == 16);
  CHECK(f.model("primary").shape().classes == 48);
  const xp::ForwardInput in{.ids = xp::ops::arange(25, 35, at::kLong).unsqueeze(0)};
  CHECK(f.model("primary").flops(in, {.tokens = true}) == plain.model("primary").flops(in, {.tokens = true}));
}

TEST_CASE("merge describes itself") { xp::testing::check_component(xp::testing::registry(), "model", "merge"); }

TEST_CASE("merge refuses what does not fit together before training starts") {
  Scene scene;
  const auto make = [](const FixtureSpec& s) { Fixture f(xp::testing::registry(), s); };
  CHECK_THROWS_WITH(make(scene.spec_of("slerp", List{"place"})),
                    ContainsSubstring("`learn` names `place`") && ContainsSubstring("`position` and `scale`"));
  CHECK_THROWS_WITH(make(scene.spec_of("slerp", kAll, false)), ContainsSubstring("needs `from`"));
  auto s = scene.spec_of("slerp", kAll);
  s.checkpoints.erase("tuned[y]");
  CHECK_THROWS_WITH(make(s), ContainsSubstring("names 3 checkpoints as `tuned[*]`, and the stage has 2"));
  scene.b.parameters.values[0] = scene.b.parameters.values[0].narrow(0, 0, 7);
  CHECK_THROWS_WITH(make(scene.spec_of("slerp", kAll)), ContainsSubstring("has another shape in one of them"));
  s = scene.spec_of("slerp", kAll);
  s.model.insert_or_assign("of", List{});
  CHECK_THROWS_WITH(make(s), ContainsSubstring("a merge needs checkpoints"));
  s.model.erase("method");
  s.model.insert_or_assign("of", List{xp::Reference{.text = "base"}});
  CHECK_THROWS_WITH(make(s), ContainsSubstring("needs `method`"));
}

}  // namespace merge_test
