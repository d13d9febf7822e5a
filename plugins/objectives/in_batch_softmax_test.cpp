#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <utility>

#include "api/ops.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace in_batch_softmax_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

using Groups = std::vector<std::vector<xp::Example>>;

FixtureSpec spec(xp::Table objective = {}) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  objective.insert_or_assign("type", "in_batch_softmax");
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = at::kDouble;
  return s;
}

Groups pairs(int count, std::uint64_t seed = 7) { return random_texts(spec(), count, 2, seed); }

/// -log of the right text's share, for text `member` of each pair, by the plain formula.
std::vector<double> by_hand(Fixture& f, const xp::Batch& batch, int member, double temperature) {
  const at::NoGradGuard quiet;
  const auto vectors =
      f.model("primary")
          .forward(f.weights("primary").values, {.ids = batch.dense("ids"), .mask = batch.dense("input.mask")},
                   {.pooling = xp::Pooling::mean})
          .pooled;
  const auto text = [&](std::int64_t item) {
    return batch.dense("ids")[item].masked_select(batch.dense("input.mask")[item]);
  };
  const auto cosine = [&](std::int64_t i, std::int64_t j) {
    const auto a = vectors[i], b = vectors[j];
    return (a.dot(b) / (a.norm() * b.norm())).item<double>();
  };
  std::vector<double> out;
  for (std::int64_t i = member; i < batch.items(); i += 2) {
    const auto right = i + 1 - 2 * member;
    double all = 0;
    for (std::int64_t j = 1 - member; j < batch.items(); j += 2)
      if (j == right || !text(j).equal(text(right))) all += std::exp(cosine(i, j) / temperature);
    out.push_back(std::log(all) - cosine(i, right) / temperature);
  }
  return out;
}

double mean(const std::vector<double>& x) {
  double sum = 0;
  for (const double one : x) sum += one;
  return sum / static_cast<double>(x.size());
}

/// One of two processes: what it gathers, it gets back before what the other gathered.
class HalfContext final : public xp::StepContext {
 public:
  explicit HalfContext(xp::StepContext& all) : all_(all) {}
  at::Tensor embed(std::string_view role, const at::Tensor& ids) override { return all_.embed(role, ids); }
  xp::ForwardOutput forward(std::string_view role, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) override {
    return all_.forward(role, in, want);
  }
  at::Tensor logits(std::string_view role, const at::Tensor& hidden) override { return all_.logits(role, hidden); }
  const xp::Parameters& parameters(std::string_view role) const override { return all_.parameters(role); }
  const at::Tensor& weight(xp::Param own) const override { return all_.weight(own); }
  at::Tensor uniform(const xp::Batch& batch, std::int64_t per_item, std::string_view what) override {
    return all_.uniform(batch, per_item, what);
  }
  at::Tensor gather(const at::Tensor& rows) override {
    given.push_back(rows);
    return theirs.size() < given.size() ? rows : xp::ops::cat({rows, theirs[given.size() - 1]});
  }
  at::Tensor predict(std::string_view role, const xp::Batch& batch, std::string_view field) override {
    return all_.predict(role, batch, field);
  }
  std::int64_t step() const override { return all_.step(); }
  std::unique_ptr<xp::StepContext> child(std::string_view name, xp::Pass pass) override {
    return all_.child(name, std::move(pass));
  }

  std::vector<at::Tensor> given, theirs;

 private:
  xp::StepContext& all_;
};

TEST_CASE("in_batch_softmax is the cross entropy of the partner among the batch's partners") {
  const bool symmetric = GENERATE(false, true);
  Fixture f(xp::testing::registry(), spec({{"temperature", 0.1}, {"symmetric", symmetric}}));
  auto groups = pairs(9);
  groups[5][1].fields["ids"] = groups[2][1].fields["ids"];  // the same partner twice: no negative
  groups[6][0].fields["ids"] = groups[3][0].fields["ids"];
  const auto batch = f.load(groups);
  const double found = f.accumulate({batch});
  const auto there = by_hand(f, batch, 0, 0.1), back = by_hand(f, batch, 1, 0.1);
  CHECK(std::abs(found - (symmetric ? (mean(there) + mean(back)) / 2 : mean(there))) < 1e-12);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  const auto result = f.objective().step(batch, f.context());
  for (std::size_t i = 0; i < there.size(); ++i) {
    const auto item = 2 * static_cast<std::int64_t>(i);
    CHECK(std::abs(result.terms.at(0).sum[item].item<double>() - there[i]) < 1e-12);
    CHECK(std::abs(result.terms.at(0).sum[item + 1].item<double>() - (symmetric ? back[i] : 0)) < 1e-12);
  }
  CHECK(f.objective().counts(batch).at("contrast").sum().item<std::int64_t>() == (symmetric ? 18 : 9));
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
}

TEST_CASE("in_batch_softmax of identical partners has no negatives at all") {
  Fixture f(xp::testing::registry(), spec());
  auto groups = pairs(4);
  for (auto& group : groups) group[1].fields["ids"] = groups[0][1].fields["ids"];
  CHECK(f.accumulate({f.load(groups)}) == 0);
  CHECK(f.metrics.at("accuracy") == 1);
}

TEST_CASE("in_batch_softmax leaves out what is equal token for token and nothing else") {
  Fixture f(xp::testing::registry(), spec({{"temperature", 0.1}}));
  auto groups = pairs(6);
  const auto text = groups[0][1].ints("ids").data;
  REQUIRE(text.size() > 2);
  groups[1][1].fields["ids"] = xp::Ints{{text.begin(), text.end() - 1}};  // its begin
  groups[2][1].fields["ids"] = xp::Ints{{text.begin() + 1, text.end()}};  // its end
  groups[3][1].fields["ids"] = xp::Ints{{text.rbegin(), text.rend()}};    // the same tokens in another order
  groups[4][1].fields["ids"] = groups[0][1].fields["ids"];                // a copy
  groups[5][0].fields["ids"] = groups[0][1].fields["ids"];                // a first text is no candidate here
  const auto batch = f.load(groups);
  auto expected = xp::ops::zeros({6, 6}, at::kBool);
  expected[0][4] = true, expected[4][0] = true;
  const auto scores = f.objective().step(batch, f.context()).published.at("scores");
  CHECK(scores.isinf().equal(expected));
  CHECK(std::abs(f.accumulate({batch}) - mean(by_hand(f, batch, 0, 0.1))) < 1e-12);
}

TEST_CASE("in_batch_softmax without copies is the plain formula bit for bit") {
  auto s = spec({{"temperature", 0.1}});
  s.type = GENERATE(at::kDouble, at::kFloat);
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(pairs(9));
  const auto clear = [&] {
    for (auto& value : f.all().values) value.mutable_grad() = at::Tensor();
  };
  clear();
  const auto result = f.objective().step(batch, f.context());
  result.terms.at(0).sum.sum().backward();
  const auto masked = xp::testing::gradients(f);
  clear();
  const auto vectors =
      f.context()
          .forward("primary",
                   {.ids = batch.dense("ids"), .mask = batch.dense("input.mask"), .sample_id = batch.sample_id},
                   {.pooling = xp::Pooling::mean})
          .pooled;
  const auto unit = (vectors / vectors.norm(2, {-1}, true).clamp_min(1e-6)).view({-1, 2, vectors.size(1)});
  const auto scores = unit.select(1, 0).matmul(unit.select(1, 1).t()) / 0.1;
  const auto losses = xp::cross_entropy(scores, xp::ops::arange(9, at::kLong));
  const auto plain = xp::ops::stack({losses, losses.new_zeros({9})}, 1).flatten();
  plain.sum().backward();
  CHECK(result.published.at("scores").equal(scores));
  CHECK(result.terms.at(0).sum.equal(plain));
  const auto unmasked = xp::testing::gradients(f);
  REQUIRE(masked.size() == unmasked.size());
  for (std::size_t i = 0; i < masked.size(); ++i) CHECK(masked[i].equal(unmasked[i]));
}

TEST_CASE("in_batch_softmax over two processes gives the loss and the gradients of one") {
  const bool symmetric = GENERATE(false, true), padded_alone = GENERATE(false, true);
  Fixture f(xp::testing::registry(), spec({{"symmetric", symmetric}}));
  auto groups = pairs(8);
  groups[7][0].fields["ids"] = xp::Ints{std::vector<std::int64_t>(30, 30)};  // longer than what the first one has
  groups[6][1].fields["ids"] = groups[1][1].fields["ids"];                   // a copy in the other process
  const auto whole = f.load(groups);
  const double loss = f.accumulate({whole});
  const auto exact = xp::testing::gradients(f);
  const auto halves = padded_alone ? std::vector{f.load(Groups(groups.begin(), groups.begin() + 4)),
                                                 f.load(Groups(groups.begin() + 4, groups.end()))}
                                   : xp::testing::split(whole, 8);
  CHECK((halves[0].dense("ids").size(1) != halves[1].dense("ids").size(1)) == padded_alone);
  HalfContext a(f.context()), b(f.context());
  f.objective().step(halves[0], a), f.objective().step(halves[1], b);  // each says what it has
  a.theirs = std::exchange(b.given, {}), b.theirs = std::exchange(a.given, {});
  for (auto& value : f.all().values) value.mutable_grad() = at::Tensor();
  at::Tensor sum;  // over processes, of losses and so of what each says about the other's rows
  for (auto [half, context] : {std::pair(&halves[0], &a), std::pair(&halves[1], &b)}) {
    const auto terms = f.objective().step(*half, *context).terms.at(0).sum;
    CHECK(terms.size(0) == half->items());
    sum = sum.defined() ? sum + terms.sum() : terms.sum();
  }
  sum = sum / (symmetric ? 16 : 8);
  CHECK(std::abs(sum.item<double>() - loss) < 1e-12);
  sum.backward();
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
}

TEST_CASE("in_batch_softmax compares items, so its batch is not split") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(pairs(8));
  CHECK(f.objective().batch_coupled());
  CHECK_THROWS_WITH(f.accumulate(xp::testing::split(batch, 8)), ContainsSubstring("cannot be split"));
}

TEST_CASE("in_batch_softmax learns to find partners") {
  auto s = spec();
  s.type = at::kFloat;
  Fixture f(xp::testing::registry(), s);
  const auto related = [](std::uint64_t seed) {  // the partner is the text without its first three tokens
    auto groups = pairs(16, seed);
    for (auto& group : groups) {
      auto rest = group[0].ints("ids").data;
      rest.erase(rest.begin(), rest.begin() + 3);
      group[1].fields["ids"] = xp::Ints{rest};
    }
    return groups;
  };
  const auto test = f.load(related(1));
  const double before = f.accumulate({test});
  for (int i = 0; i < 40; ++i) f.accumulate({f.load(related(100 + static_cast<std::uint64_t>(i)))}), f.update();
  CHECK(f.accumulate({test}) < before);
  CHECK(f.metrics.at("accuracy") > 0.8);
}

TEST_CASE("in_batch_softmax has a temperature that a schedule moves") {
  Fixture f(xp::testing::registry(), spec({{"temperature", 0.1}})),
      warm(xp::testing::registry(), spec({{"temperature", 1.0}}));
  const auto batch = f.load(pairs(6));
  const double cold = f.accumulate({batch});
  f.set("temperature", 1.0);
  CHECK(f.accumulate({batch}) == warm.accumulate({batch}));
  CHECK(f.accumulate({batch}) != cold);
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), spec({{"temperature", 0.0}})), ContainsSubstring("above 0"));
}

TEST_CASE("in_batch_softmax refuses what is no pair") {
  Fixture f(xp::testing::registry(), spec());
  const auto run = [&](const Groups& groups) { f.accumulate({f.load(groups)}); };
  CHECK_THROWS_WITH(run(random_texts(spec(), 4, 3)), ContainsSubstring("group 0 of the data has 3 texts"));
  CHECK_THROWS_WITH(run(random_texts(spec(), 4, 4)), ContainsSubstring("has 4 texts"));
  CHECK_THROWS_WITH(run(random_texts(spec(), 4)), ContainsSubstring("has 1 text"));
  auto again = pairs(3);
  again.push_back(again.back());  // a small corpus begins again within the batch
  CHECK_NOTHROW(run(again));
}

}  // namespace in_batch_softmax_test
