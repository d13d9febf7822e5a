#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace pointer_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using Texts = std::vector<std::vector<xp::Example>>;

constexpr std::int64_t kOpen = 25, kClose = 26, kInside = 27, kAlone = 28, kPlain = 29;

FixtureSpec spec(bool pairs = false) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 40}, {"init_sd", 0.5}};
  s.objective = {{"type", "pointer"}};
  s.categories["answer"] = {"person", "place"};
  s.dataset_fields = {{"ids", "input", 0}, {"word", "input", -1}, {"answer", "input", -1}};
  if (pairs) s.dataset_fields.push_back({"segment", "input", 0});
  s.optimizer = {{"type", "adamw"}};
  s.type = at::kDouble;
  return s;
}

struct Span {
  std::int64_t first = -1, last = -1;
};

/// Where the span of item `i` of texts() lies; every fifth item has none.
Span span_of(std::size_t i) {
  if (i % 5 == 4) return {};
  const auto first = static_cast<std::int64_t>(1 + i % 3);
  return {first, first + static_cast<std::int64_t>(i % 4)};
}

/// Plain tokens between two specials, and a span whose first and last token say so.
Texts texts(int count, std::uint64_t seed = 7) {
  auto all = xp::testing::random_texts(spec(), count, 1, seed);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& item = all[i][0];
    auto& ids = item.ints("ids").data;
    ids.resize(ids.size() + 4, kPlain + static_cast<std::int64_t>(i % 7));
    const auto [first, last] = span_of(i);
    xp::Ints word, answer;
    for (std::int64_t t = 0; t < std::ssize(ids); ++t) {
      auto& id = ids[static_cast<std::size_t>(t)];
      const bool special = t == 0 || t + 1 == std::ssize(ids), in = first >= 0 && t >= first && t <= last;
      id = special ? 1 : kPlain + id % 19;
      if (in) id = first == last ? kAlone : t == first ? kOpen : t == last ? kClose : kInside;
      word.data.push_back(special ? -1 : t - 1), answer.data.push_back(in ? static_cast<std::int64_t>(i % 2) : -1);
    }
    item.fields["word"] = word, item.fields["answer"] = answer;
  }
  return all;
}

/// Scores of the two heads at every token by the model's own passes: [items, time, 2].
at::Tensor scores_of(Fixture& f, const xp::Batch& batch) {
  const auto x = f.model("primary")
                     .forward(f.weights("primary").values,
                              {.ids = batch.dense("ids"), .mask = batch.dense("input.mask")}, {.tokens = true})
                     .tokens;
  const auto weight = [&](const char* name) { return f.all().values[f.all().find(name)][0]; };
  return xp::ops::stack({x.matmul(weight("objective.start")), x.matmul(weight("objective.end"))}, -1).detach();
}

/// -log of the share that place `at` has of the sum of exp(scores) over the readable tokens of words.
double cost(const at::Tensor& scores, const xp::Batch& batch, std::int64_t item, std::int64_t end, std::int64_t at) {
  double sum = 0;
  for (std::int64_t t = 0; t < scores.size(1); ++t)
    if (batch.dense("input.mask")[item][t].item<bool>() && batch.dense("word")[item][t].item<std::int64_t>() >= 0)
      sum += std::exp(scores[item][t][end].item<double>());
  return -std::log(std::exp(scores[item][at][end].item<double>()) / sum);
}

double expected_loss(Fixture& f, const xp::Batch& batch, const std::vector<Span>& spans) {
  const auto scores = scores_of(f, batch);
  double sum = 0, n = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].first < 0) continue;
    const auto row = static_cast<std::int64_t>(i);
    sum += cost(scores, batch, row, 0, spans[i].first) + cost(scores, batch, row, 1, spans[i].last), ++n;
  }
  return sum / n;
}

std::vector<Span> spans(std::size_t count) {
  std::vector<Span> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(span_of(i));
  return out;
}

TEST_CASE("pointer costs the cross-entropies of the first and the last token, over items with a span") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(texts(13));
  CHECK(std::abs(f.accumulate({batch}) - expected_loss(f, batch, spans(13))) < 1e-12);
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
  for (const char* head : {"objective.start", "objective.end"})
    CHECK(xp::testing::gradients(f)[f.all().find(head)].abs().max().item<double>() > 1e-3);
  const auto counts = f.objective().counts(batch).at("pointer");
  const auto sums = f.objective().step(batch, f.context()).terms.at(0).sum;
  for (std::int64_t i = 0; i < 13; ++i) {
    CHECK(counts[i].item<std::int64_t>() == (i % 5 != 4));
    CHECK((sums[i].item<double>() > 0) == (i % 5 != 4));
  }
}

TEST_CASE(
    "pointer means the first annotation: later ones and values that touch it are others, unknown values count") {
  Fixture f(xp::testing::registry(), spec());
  auto items = texts(5, 3);
  items.pop_back();
  std::vector<Span> known;
  const auto mark = [&](std::size_t item, std::vector<std::int64_t> values, Span span) {
    auto& answer = items[item][0].fields["answer"];
    auto data = std::vector<std::int64_t>(items[item][0].ints("ids").data.size(), -1);
    REQUIRE(values.size() <= data.size());
    std::copy(values.begin(), values.end(), data.begin());
    answer = xp::Ints{data}, known.push_back(span);
  };
  mark(0, {-1, -1, 1, 1, -1, 1, 0}, {2, 3});  // a second one further on
  mark(1, {-1, 0, 0, 1, 1}, {1, 2});          // another value right behind it
  mark(2, {-1, -1, -2, -2, -2, 0}, {2, 4});   // a value that training did not have
  mark(3, {-1, -1, -1, 0, 0, 0, 0}, {3, 6});  // two of one value that touch are one
  const auto batch = f.load(items);
  CHECK(std::abs(f.accumulate({batch}) - expected_loss(f, batch, known)) < 1e-12);
  const auto length = std::ssize(items[0][0].ints("ids").data);
  auto last = std::vector<std::int64_t>(static_cast<std::size_t>(length), -1);
  last[static_cast<std::size_t>(length - 2)] = last[static_cast<std::size_t>(length - 1)] = 0;  // a special in it
  items.resize(1), items[0][0].fields["answer"] = xp::Ints{last};
  const auto one = f.load(items);
  CHECK(std::abs(f.accumulate({one}) - expected_loss(f, one, {{length - 2, length - 2}})) < 1e-12);
}

TEST_CASE("pointer never chooses padding, specials or a second text") {
  Fixture f(xp::testing::registry(), spec(true));
  auto items = texts(6);
  for (auto& group : items) {
    auto& item = group[0];
    auto segment = item.ints("ids");
    for (std::int64_t t = 0; t < std::ssize(segment.data); ++t) segment.data[static_cast<std::size_t>(t)] = t > 6;
    item.fields["segment"] = segment;
  }
  const auto batch = f.load(items);
  const at::NoGradGuard quiet;
  const auto may =
      batch.dense("input.mask").logical_and(batch.dense("word").ge(0)).logical_and(batch.dense("segment").eq(0));
  CHECK((may.sum().item<std::int64_t>() > 0 && may.logical_not().sum().item<std::int64_t>() > 0));
  const auto scores = f.handle()->predict(batch, "answer");
  CHECK(scores.isfinite().equal(may.unsqueeze(-1).expand_as(scores)));
  CHECK(scores.isinf().logical_and(scores.lt(0)).equal(may.logical_not().unsqueeze(-1).expand_as(scores)));
  CHECK(scores.masked_select(may.unsqueeze(-1)).allclose(scores_of(f, batch).masked_select(may.unsqueeze(-1))));
}

TEST_CASE("pointer adds up over micro-batches, some without any span, and padding changes nothing") {
  Fixture f(xp::testing::registry(), spec());
  const auto batch = f.load(texts(15));
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {4, 1}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
  const auto nothing = batch.select(xp::ops::tensor({4, 9}));
  CHECK(f.accumulate({nothing}) == 0);
  for (const auto& gradient : xp::testing::gradients(f)) CHECK(gradient.abs().max().item<double>() == 0);
  const auto short_ones = texts(6);
  auto wide = short_ones;
  wide.push_back(texts(1, 5)[0]);
  for (const auto& [name, pad] :
       {std::pair("ids", kPlain), std::pair("word", std::int64_t{1}), std::pair("answer", std::int64_t{-1})})
    wide[6][0].ints(name).data.resize(38, pad);
  CHECK(std::abs(f.accumulate({f.load(short_ones)}) -
                 f.accumulate({f.load(wide).select(xp::ops::arange(6, at::kLong))})) < 1e-12);
  CHECK(xp::testing::gradient_error(f, batch) < 1e-6);
}

TEST_CASE("pointer learns where spans begin and end and points there through its handle") {
  Fixture f(xp::testing::registry(), spec());
  for (std::uint64_t step = 0; step < 40; ++step) f.accumulate({f.load(texts(25, 100 + step))}), f.update(1e-2, 0);
  CHECK(f.metrics.at("accuracy") > 0.9);
  const at::NoGradGuard quiet;
  const auto fresh = f.load(texts(20, 9));
  const auto handle = f.handle();
  REQUIRE(handle->can("predict"));
  const auto scores = handle->predict(fresh, "answer");
  REQUIRE(scores.sizes() == at::IntArrayRef({20, fresh.dense("ids").size(1), 2}));
  const auto best = scores.argmax(1);
  int right = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const auto [first, last] = span_of(i);
    right += best[row][0].item<std::int64_t>() == first && best[row][1].item<std::int64_t>() == last;
  }
  CHECK(right >= 15);  // of 16 with a span
  CHECK_THROWS_WITH(handle->predict(fresh, "tag"), ContainsSubstring("the model points by `answer`, not by `tag`"));
  for (const char* head : {"objective.start", "objective.end"}) {
    const auto& info = f.all().info[f.all().find(head)];
    CHECK((info.role == "head" && info.lifetime == xp::Lifetime::keep));
  }
}

TEST_CASE("pointer refuses a class per item and a kind that training does not have") {
  auto s = spec();
  s.dataset_fields[2].axis = "";
  Fixture f(xp::testing::registry(), s);
  auto items = texts(2);
  for (auto& group : items) group[0].fields["answer"] = xp::Ints{{1}};
  CHECK_THROWS_WITH(f.accumulate({f.load(items)}),
                    ContainsSubstring("field `answer` has one class per item; pointing needs a kind of annotation"));
  s = spec();
  s.categories["answer"] = {};
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), s), ContainsSubstring("no annotation of kind `answer`"));
}

}  // namespace pointer_test
