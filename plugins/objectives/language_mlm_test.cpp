#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"

namespace language_mlm_test {

using Catch::Matchers::ContainsSubstring;
using xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

const std::string kLanguages = "objective.language", kScripts = "objective.script";

Table language_mlm(Table more = {}) {
  more.insert_or_assign("type", "language_mlm");
  more.insert({{"mask_rate", 0.3}, {"init_sd", 0.5}});
  return more;
}

FixtureSpec spec(Table objective, at::ScalarType type = at::kDouble) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.categories = {{"lang", {"bg", "de", "el", "en", "mt"}}, {"script", {"Cyrl", "Grek", "Latn"}}};
  s.dataset_fields.push_back({"lang", "", -1}), s.dataset_fields.push_back({"script", "", -1});
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// Class of item i; of every fifth one it is unknown, and the last class never comes.
std::int64_t language(std::int64_t i) { return i % 5 == 4 ? -1 : i * 3 % 4; }
std::int64_t script(std::int64_t i) { return i % 5 == 3 ? -1 : i % 2; }

std::vector<std::vector<xp::Example>> texts(int count) {
  auto all = random_texts(spec({}), count);
  for (std::int64_t i = 0; auto& group : all) {
    group[0].fields["lang"] = xp::Ints{{language(i)}}, group[0].fields["script"] = xp::Ints{{script(i)}};
    ++i;
  }
  return all;
}

const at::Tensor& weight(Fixture& f, const std::string& name) { return f.all().values[f.all().find(name)]; }

/// Passes everything on and remembers what the encoder read and gave.
class Recording final : public xp::StepContext {
 public:
  explicit Recording(xp::StepContext& to) : to_(to) {}
  at::Tensor embed(std::string_view role, const at::Tensor& ids) override { return to_.embed(role, ids); }
  xp::ForwardOutput forward(std::string_view role, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) override {
    given.push_back(in), at.push_back(want.at), outputs.push_back(to_.forward(role, in, want).picked);
    return {.picked = outputs.back()};
  }
  at::Tensor logits(std::string_view role, const at::Tensor& hidden) override { return to_.logits(role, hidden); }
  const xp::Parameters& parameters(std::string_view role) const override { return to_.parameters(role); }
  const at::Tensor& weight(xp::Param own) const override { return to_.weight(own); }
  at::Tensor uniform(const xp::Batch& batch, std::int64_t per_item, std::string_view what) override {
    return to_.uniform(batch, per_item, what);
  }
  at::Tensor gather(const at::Tensor& rows) override { return to_.gather(rows); }
  at::Tensor predict(std::string_view role, const xp::Batch& batch, std::string_view field) override {
    return to_.predict(role, batch, field);
  }
  std::int64_t step() const override { return to_.step(); }
  std::unique_ptr<xp::StepContext> child(std::string_view name, xp::Pass pass) override {
    return to_.child(name, std::move(pass));
  }

  std::vector<xp::ForwardInput> given;
  std::vector<at::Tensor> at, outputs;

 private:
  xp::StepContext& to_;
};

// Finite differences, counts for all terms, the same loss for every order, padding and split into micro-batches.
TEST_CASE("language_mlm keeps what every objective promises") {
  const Table model{{"type", "transformer"}, {"layers", 1}, {"width", 8}, {"heads", 2}, {"max_time", 32}};
  const auto check = [&](const Table& objective) {
    return xp::testing::check_objective(xp::testing::registry(), objective, {model});
  };
  CHECK(check({{"type", "language_mlm"}}).empty());
  CHECK(check(language_mlm({{"script_field", ""}, {"whole_words", true}})).empty());
}

TEST_CASE("language_mlm is the cross entropy of the head on the encoder's output plus the item's two vectors") {
  const bool with_script = GENERATE(true, false);
  Fixture f(xp::testing::registry(),
            spec(language_mlm({{"script_field", with_script ? "script" : ""}, {"accuracy", true}})));
  const auto batch = f.load(texts(12));
  const double found = f.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  const at::NoGradGuard quiet;
  const auto& w = f.weights("primary").values;
  const auto h =
      f.model("primary")
          .forward(w, {.ids = batch.dense("masked_ids"), .mask = batch.dense("input.mask")}, {.tokens = true})
          .tokens;
  const auto& labels = batch.dense("labels");
  double sum = 0, right = 0, n = 0;
  for (std::int64_t i = 0; i < batch.items(); ++i)
    for (std::int64_t t = 0; t < labels.size(1); ++t) {
      const auto label = labels[i][t].item<std::int64_t>();
      if (label < 0) continue;
      auto x = h[i][t];
      if (language(i) >= 0) x = x + weight(f, kLanguages)[language(i)];
      if (with_script && script(i) >= 0) x = x + weight(f, kScripts)[script(i)];
      const auto scores = f.model("primary").logits(w, x.unsqueeze(0)).squeeze(0);
      sum += std::log(scores.exp().sum().item<double>()) - scores[label].item<double>();
      right += scores.argmax().item<std::int64_t>() == label, ++n;
    }
  CHECK(n > 20);
  CHECK(std::abs(found - sum / n) < 1e-12);
  CHECK(f.metrics.at("accuracy") == right / n);
}

TEST_CASE("the encoder's output does not depend on the language or the script, the loss does") {
  Fixture f(xp::testing::registry(), spec(language_mlm()));
  Recording context(f.context());
  const auto loss_of = [&](const xp::Batch& batch) {
    return f.objective().step(batch, context).terms.at(0).sum.detach();
  };
  auto batch = f.load(texts(10));
  const auto loss = loss_of(batch);
  for (const char* field : {"lang", "script"}) {
    auto other = batch;
    other.set(field, (batch.dense(field) + 1).clone());
    CHECK(loss_of(other).ne(loss).all().item<bool>());  // of every item: its class is another one
  }
  REQUIRE(context.outputs.size() == 3);
  REQUIRE(context.outputs[0].size(0) > 20);
  const at::NoGradGuard quiet;
  const auto& w = f.weights("primary").values;
  const auto alone = f.model("primary").forward(
      w, {.ids = batch.dense("masked_ids"), .mask = batch.dense("input.mask")}, {.at = context.at[0]});
  CHECK(alone.picked.equal(context.outputs[0]));  // what the model gives that knows of no language
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(context.outputs[i].equal(context.outputs[0]));
    const auto& in = context.given[i];
    CHECK(in.ids.equal(batch.dense("masked_ids")));
    CHECK((in.fields == nullptr && !in.vectors.defined() && !in.memory.defined() && !in.positions.defined()));
    CHECK(in.sample_id.is_same(batch.sample_id));
  }
}

TEST_CASE("language_mlm starts as mlm does where its vectors start at zero, and leaves it then") {
  Fixture f(xp::testing::registry(), spec(language_mlm({{"init_sd", 0}})));
  Fixture plain(xp::testing::registry(), spec({{"type", "mlm"}, {"mask_rate", 0.3}}));
  CHECK(f.accumulate({f.load(texts(8))}) == plain.accumulate({plain.load(texts(8))}));
  const auto own = xp::testing::gradients(f), others = xp::testing::gradients(plain);
  REQUIRE(own.size() == others.size() + 2);
  for (std::size_t i = 0; i < others.size(); ++i) CHECK(own[i].equal(others[i]));
  for (Fixture* one : {&f, &plain}) one->update(1e-2);
  CHECK(f.accumulate({f.load(texts(8))}) != plain.accumulate({plain.load(texts(8))}));
}

TEST_CASE("what language_mlm leaves behind is what mlm leaves behind: no tables") {
  Fixture f(xp::testing::registry(), spec(language_mlm()));
  int tables = 0;
  for (const auto& info : f.all().info) {
    if (!info.name.starts_with("objective.")) continue;
    ++tables;
    CHECK(info.lifetime == xp::Lifetime::pretrain_only);
  }
  CHECK(tables == 2);
  for (int i = 0; i < 3; ++i) f.accumulate({f.load(texts(8))}), f.update();
  const auto names = [](const Fixture& one) {
    xp::Strings out;
    for (const auto& info : one.exported().parameters.info) out.push_back(info.name);
    return out;
  };
  CHECK(names(f) == names(Fixture(xp::testing::registry(), spec({{"type", "mlm"}}))));
  CHECK(f.exported().objective.empty());
  const auto plain = f.handle();  // evaluators see the model alone
  const auto batch = f.load(texts(4));
  const at::NoGradGuard quiet;
  const auto alone = f.model("primary").forward(
      f.weights("primary").values, {.ids = batch.dense("ids"), .mask = batch.dense("input.mask")}, {.tokens = true});
  CHECK(plain->encode(batch, {.tokens = true}).tokens.equal(alone.tokens));
}

TEST_CASE("gradients reach the vectors of the classes in the batch, and no others") {
  Fixture f(xp::testing::registry(), spec(language_mlm()));
  const auto batch = f.load(texts(10));
  f.accumulate({batch});
  const auto reached = [&](const std::string& name) { return weight(f, name).grad().abs().sum(1).gt(0); };
  CHECK(reached(kLanguages).equal(xp::ops::tensor({1, 1, 1, 1, 0}).to(at::kBool)));
  CHECK(reached(kScripts).equal(xp::ops::tensor({1, 1, 0}).to(at::kBool)));
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
  auto unknown = batch;
  unknown.set("lang", (batch.dense("lang") * 0 - 1).clone());
  f.accumulate({unknown});
  CHECK_FALSE(reached(kLanguages).any().item<bool>());
}

TEST_CASE("micro-batches of language_mlm add up to the whole batch") {
  Fixture f(xp::testing::registry(), spec(language_mlm()));
  const auto batch = f.load(texts(32));
  CHECK(f.objective().counts(batch).at("language_mlm").equal(batch.dense("labels").ge(0).sum(1)));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-12 * whole);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
}

TEST_CASE("language_mlm learns, also where the model is narrower than the tables") {
  Table objective = language_mlm();
  if (GENERATE(false, true)) {
    const xp::List views{xp::List{2, 16}, xp::List{1, 8}};
    objective = {{"type", "over_views"}, {"task", objective}, {"views", views}};
  }
  Fixture f(xp::testing::registry(), spec(objective));
  const auto batch = f.load(texts(16));
  const double before = f.accumulate({batch});
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before - 0.5);
}

TEST_CASE("language_mlm has a rate that a schedule moves") {
  Fixture f(xp::testing::registry(), spec(language_mlm({{"mask_rate", 0.1}})));
  const auto share = [&] {
    const auto batch = f.load(texts(32));
    return batch.dense("labels").ge(0).sum().item<double>() / batch.dense("input.mask").sum().item<double>();
  };
  CHECK(share() < 0.2);
  f.set("mask_rate", 0.9);
  CHECK(share() > 0.7);
}

TEST_CASE("language_mlm refuses fields that tell nothing apart, and settings out of range") {
  const auto make = [](Table objective, const std::function<void(FixtureSpec&)>& change = {}) {
    auto s = spec(language_mlm(std::move(objective)));
    if (change) change(s);
    return std::make_unique<Fixture>(xp::testing::registry(), s);
  };
  CHECK_THROWS_WITH(make({}, [](auto& s) { s.categories["lang"] = {"mt"}; }),
                    ContainsSubstring("`lang` has 1 value") && ContainsSubstring("train with `mlm` instead"));
  CHECK_THROWS_WITH(make({}, [](auto& s) { s.categories["script"] = {"Latn"}; }),
                    ContainsSubstring("`script` has 1 value") && ContainsSubstring("write script_field = \"\""));
  CHECK_THROWS_WITH(make({{"script_field", "lang"}}), ContainsSubstring("are both `lang`"));
  CHECK_THROWS_WITH(make({{"language_field", ""}}), ContainsSubstring("`language_field` is empty"));
  CHECK_THROWS_WITH(make({{"mask_rate", 1.5}}), ContainsSubstring("mask_rate"));
  CHECK_THROWS_WITH(make({{"mix", xp::List{0.5, 0.1, 0.1}}}), ContainsSubstring("mix"));
  const auto& schema = xp::testing::catalogue().find("objective", "language_mlm")->schema;
  using Wrong = std::pair<const char*, double>;
  for (const auto& [name, value] : {Wrong{"init_sd", -0.1}, Wrong{"init_sd", 2}, Wrong{"mask_rate", 2}}) {
    xp::Problems problems;
    CHECK_FALSE(xp::check_value(*schema.find(name), value, "the objective", problems));
    CHECK_THROWS_WITH(problems.raise(), ContainsSubstring(name) && ContainsSubstring("the objective"));
  }
  const auto f = make({});
  auto batch = f->load(texts(4));
  batch.set("lang", batch.dense("ids").clone());
  CHECK_THROWS_WITH(f->accumulate({batch}), ContainsSubstring("`lang` has 2 axes; language_mlm needs one language"));
}

}  // namespace language_mlm_test
