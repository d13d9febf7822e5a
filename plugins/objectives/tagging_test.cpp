#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/ops.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace tagging_test {

using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}};
  s.objective = {{"type", "tagging"}};
  s.categories["tag"] = {"even", "odd"};
  s.dataset_fields = {{"ids", "input", 0}, {"word", "input", -1}, {"tag", "input", -1}};
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// Two tokens a word; the first one's parity is the tag of both, every fifth word has none.
std::vector<std::vector<xp::Example>> texts(const FixtureSpec& s, int count, std::uint64_t seed) {
  auto all = xp::testing::random_texts(s, count, 1, seed);
  for (auto& group : all)
    for (auto& item : group) {
      const auto& ids = item.ints("ids").data;
      xp::Ints word, tag;
      for (std::size_t t = 0; t < ids.size(); ++t) {
        word.data.push_back(static_cast<std::int64_t>(t / 2));
        tag.data.push_back(t / 2 % 5 == 4 ? -1 : ids[t - t % 2] % 2);
      }
      item.fields["word"] = word, item.fields["tag"] = tag;
    }
  return all;
}

TEST_CASE("tagging learns the tag of each word and predicts it through its handle") {
  const auto s = spec();
  Fixture f(xp::testing::registry(), s);
  for (int step = 0; step < 60; ++step) {
    f.accumulate({f.load(texts(s, 24, 100 + static_cast<std::uint64_t>(step)))});
    f.update(1e-2, 0);
  }
  CHECK(f.metrics.at("accuracy") > 0.95);
  const at::NoGradGuard quiet;
  const auto fresh = f.load(texts(s, 10, 7));
  const auto handle = f.handle();
  REQUIRE(handle->can("predict"));
  const auto scores = handle->predict(fresh, "tag");
  CHECK(scores.sizes() == at::IntArrayRef({10, fresh.dense("ids").size(1), 2}));
  const auto first = fresh.dense("tag").ge(0).logical_and(fresh.dense("input.mask"));
  const auto right = scores.argmax(-1).eq(fresh.dense("tag")).logical_and(first);
  CHECK(right.sum().item<double>() > 0.5 * first.sum().item<double>());
  CHECK_THROWS_WITH(handle->predict(fresh, "pos"), ContainsSubstring("`tag`, not by `pos`"));
}

TEST_CASE("tagging counts words once and those with a tag only; micro-batches add up") {
  const auto s = spec();
  Fixture f(xp::testing::registry(), s);
  auto items = texts(s, 16, 1);
  std::int64_t words = 0;
  for (const auto& group : items)
    for (std::size_t t = 0; t < group[0].ints("ids").data.size(); t += 2) words += group[0].ints("tag").data[t] >= 0;
  const auto batch = f.load(items);
  CHECK(f.objective().counts(batch).at("tagging").sum().item<std::int64_t>() == words);
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  CHECK(std::abs(f.accumulate(xp::testing::split(batch, 5)) - whole) < 1e-5);
  CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-5);
}

TEST_CASE("gradients of tagging are those of finite differences") {
  const auto s = spec(at::kDouble);
  Fixture f(xp::testing::registry(), s);
  CHECK(xp::testing::gradient_error(f, f.load(texts(s, 4, 3))) < 1e-7);
}

TEST_CASE("tagging refuses a class per item") {
  auto s = spec();
  s.dataset_fields[2].axis = "";
  Fixture f(xp::testing::registry(), s);
  auto items = texts(s, 2, 3);
  for (auto& group : items) group[0].fields["tag"] = xp::Ints{{1}};
  const auto batch = f.load(items);
  CHECK_THROWS_WITH(f.accumulate({batch}), ContainsSubstring("tagging needs one per token"));
}

}  // namespace tagging_test
