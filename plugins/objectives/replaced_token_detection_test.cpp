
#include <catch2/catch_test_macros.hpp>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace replaced_token_detection_test {

using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec(xp::Table more = {}) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = {{"type", "replaced_token_detection"}, {"generator", xp::Table{{"width", 8}}}};
  for (auto& [key, value] : more) s.objective.insert_or_assign(key, value);
  s.optimizer = {{"type", "adamw"}};
  return s;
}

double size_of(const at::Tensor& gradient) { return gradient.defined() ? gradient.abs().sum().item<double>() : 0; }

TEST_CASE("detection sends no gradient through sampling") {
  Fixture f(xp::testing::registry(), spec());
  f.accumulate({f.load(random_texts(spec(), 32))}, "detection");
  double alone = 0, shared = 0;
  for (xp::Param i = 0; i < f.all().size(); ++i) {
    const auto& name = f.all().info[i].name;
    const bool generator = name.starts_with("generator.") && !name.starts_with("generator.embedding.token") &&
                           !name.starts_with("generator.embedding.position");
    (generator ? alone : shared) += size_of(f.all().values[i].grad());
  }
  CHECK(alone == 0);
  CHECK(shared > 0);
}

TEST_CASE("the generator's term reaches the generator and, through shared tables, the model's embeddings only") {
  Fixture f(xp::testing::registry(), spec());
  f.accumulate({f.load(random_texts(spec(), 32))}, "generator");
  for (xp::Param i = 0; i < f.all().size(); ++i) {
    const auto& info = f.all().info[i];
    INFO(info.name);
    if (info.name.find("layer.") == std::string::npos) continue;
    CHECK((size_of(f.all().values[i].grad()) > 0) == info.name.starts_with("generator."));
  }
}

TEST_CASE("tables that are shared are one tensor, counted and updated once") {
  Fixture shared(xp::testing::registry(), spec()), apart(xp::testing::registry(), spec({{"share", "none"}}));
  CHECK(shared.all().size() - shared.all().distinct().size() == 2);  // tokens and positions
  CHECK(apart.all().size() == apart.all().distinct().size());
  CHECK(shared.weights("generator").values[0].data_ptr() == shared.weights("primary").values[0].data_ptr());
}

TEST_CASE("micro-batches with draws inside the step add up") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(random_texts(spec(), 32));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  CHECK(f.passes == std::map<std::string, int>{{"generator", 1}, {"primary", 1}});
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-5 * whole);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
  }
}

TEST_CASE("a sample that equals the original counts as original") {
  Fixture f(xp::testing::registry(), spec());
  f.accumulate({f.load(random_texts(spec(), 200))});
  CHECK(f.metrics.at("replaced") > 0.85);  // 48 tokens, nearly untrained: about 1 in 48 is hit by chance
  CHECK(f.metrics.at("replaced") < 1);
}

TEST_CASE("samples follow the generator's distribution") {
  // A generator without a choice: one token gets all the mass, and where it is the original nothing is replaced.
  auto s = spec({{"temperature", 1e-3}, {"mask_rate", 0.5}});
  Fixture f(xp::testing::registry(), s);
  f.accumulate({f.load(random_texts(s, 64))});
  const double accuracy = f.metrics.at("generator_accuracy");
  CHECK(std::abs(f.metrics.at("replaced") - (1 - accuracy)) < 1e-9);  // the sample is the first guess
}

TEST_CASE("detection on masked places counts those only") {
  Fixture all(xp::testing::registry(), spec()), masked(xp::testing::registry(), spec({{"positions", "masked"}}));
  const auto batch = all.load(random_texts(spec(), 16));
  const auto total = [&](Fixture& f) { return f.objective().counts(batch).at("detection").sum().item<double>(); };
  CHECK(total(all) == batch.dense("input.mask").sum().item<double>());
  CHECK(total(masked) == batch.dense("labels").ge(0).sum().item<double>());
}

TEST_CASE("only the model is exported, and learning lowers the loss") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(random_texts(spec(), 32));
  const double before = f.accumulate({batch});
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before);
  const auto out = f.exported();
  CHECK(out.parameters.size() == f.weights("primary").size());
  for (const auto& info : out.parameters.info) CHECK(info.lifetime == xp::Lifetime::keep);
}

}  // namespace replaced_token_detection_test
