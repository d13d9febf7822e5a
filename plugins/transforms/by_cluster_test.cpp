#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/transform.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace by_cluster_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

constexpr std::int64_t kVocab = 16, kFirst = 4;

/// Text ids 4 ... 15; cluster 0 has 2 tokens, cluster 1 has 4, cluster 2 has 6.
std::vector<std::int64_t> clusters() { return {-1, -1, -1, -1, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2}; }

class Stage final : public Resources {
 public:
  explicit Stage(std::vector<std::int64_t> of = clusters()) { state_.set("cluster", Ints{std::move(of)}); }
  std::int64_t vocab_size() const override { return kVocab; }
  std::int64_t reserved(std::string_view, std::int64_t) const override { throw Error("none"); }
  bool is_text(std::int64_t token) const override { return token >= kFirst; }
  const State& artifact(std::string_view name) const override {
    CHECK(name == "groups");
    return state_;
  }
  Strings categories(std::string_view) const override { return {}; }
  const Encoder* tokenizer() const override { return nullptr; }

 private:
  State state_;
};

std::unique_ptr<Transform> made(const Table& more = {}) {
  Table settings{{"type", "by_cluster"}, {"clusters", Reference{.text = "groups", .kind = "statistics"}}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Transform>(settings);
}
std::unique_ptr<Transform> started(const Table& more = {}) {
  auto one = made(more);
  one->start(Stage());
  return one;
}

std::vector<Example> tokens(std::int64_t id, std::size_t n) {
  Example one;
  one.fields["ids"] = Ints{std::vector<std::int64_t>(n, id)},
  one.fields["chosen"] = Ints{std::vector<std::int64_t>(n, 1)};
  return {one};
}

Feedback message(std::vector<std::int64_t> pair, std::vector<std::int64_t> right) {
  Feedback all{"detector_success", 0, {}};
  all.values["cluster_pair"] = Ints{std::move(pair)}, all.values["right"] = Ints{std::move(right)};
  return all;
}

std::vector<std::int64_t> counts(const Transform& transform) {
  State state;
  transform.save(state);
  return state.ints("count").data;
}

/// How often a token of cluster `from` went to each token.
std::vector<double> drawn(const Transform& transform, std::int64_t id, std::size_t n) {
  auto group = tokens(id, n);
  auto random = RandomStreams(11).stream();
  transform.apply(group, random);
  std::vector<double> seen(kVocab);
  for (const auto token : group[0].ints("substituted_ids").data) ++seen[static_cast<std::size_t>(token)];
  return seen;
}

void check_share(double seen, double p, double n) {
  CHECK(std::abs(seen - p * n) < 3 * std::sqrt(n * p * (1 - p)) + 1e-9);
}

TEST_CASE("by_cluster with beta 0 draws clusters uniformly, and tokens uniformly within") {
  const auto transform = started({{"beta", 0.0}});
  transform->receive(message({0, 0, 0, 1, 2, 2}, {0, 0, 0, 1, 0, 1}));  // what it hears plays no part
  constexpr double n = 90000;
  const auto seen = drawn(*transform, 4, static_cast<std::size_t>(n));
  const auto of = clusters();
  const std::vector<double> size{2, 4, 6};
  for (std::size_t id = 0; id < seen.size(); ++id)
    if (of[id] < 0)
      CHECK(seen[id] == 0);
    else
      check_share(seen[id], 1 / (3 * size[static_cast<std::size_t>(of[id])]), n);
}

TEST_CASE("by_cluster draws by the softmax of beta times the row's counts between 0 and 1") {
  const auto transform = started({{"beta", 2.0}});
  // Row 1: +2 for cluster 0, -2 for cluster 1, nothing for cluster 2: counts 3, -1, 1, scaled 1, 0, 0.5.
  transform->receive(message({3, 3, 4, 4, -1, -1}, {0, 0, 1, 1, 0, 1}));
  CHECK(counts(*transform) == std::vector<std::int64_t>{1, 1, 1, 3, -1, 1, 1, 1, 1});
  constexpr double n = 90000;
  const double sum = std::exp(2.0) + 1 + std::exp(1.0);
  const auto seen = drawn(*transform, 6, static_cast<std::size_t>(n));
  check_share(seen[4] + seen[5], std::exp(2.0) / sum, n);
  check_share(seen[6] + seen[7] + seen[8] + seen[9], 1 / sum, n);
  check_share(seen[10] + seen[11] + seen[12] + seen[13] + seen[14] + seen[15], std::exp(1.0) / sum, n);
  const auto other = drawn(*transform, 4, static_cast<std::size_t>(n));  // row 0 has heard nothing
  check_share(other[4] + other[5], 1.0 / 3, n);
}

TEST_CASE("by_cluster remembers the pair of each true replacement and no other") {
  const auto transform = started();
  auto group = tokens(4, 3000);
  auto& chosen = group[0].ints("chosen").data;
  for (std::size_t t = 0; t < chosen.size(); t += 3) chosen[t] = 0;
  auto random = RandomStreams(5).stream();
  transform->apply(group, random);
  const auto &out = group[0].ints("substituted_ids").data, &pair = group[0].ints("cluster_pair").data;
  const auto of = clusters();
  int same = 0;
  for (std::size_t t = 0; t < out.size(); ++t)
    if (t % 3 == 0) {
      CHECK((out[t] == 4 && pair[t] == -1));
    } else if (out[t] == 4) {  // drawn itself: nothing was replaced
      CHECK(pair[t] == -1);
      ++same;
    } else {
      CHECK(pair[t] == of[static_cast<std::size_t>(out[t])]);  // row 0
    }
  CHECK(same > 0);
}

TEST_CASE("by_cluster saves what it learnt: loaded, it draws as before") {
  const auto one = started(), two = started();
  one->receive(message({1, 1, 5, 8, 8, 8}, {0, 0, 0, 1, 1, 1}));
  CHECK(drawn(*one, 4, 500) != drawn(*two, 4, 500));
  State state;
  one->save(state);
  two->load(state);
  for (const int id : {4, 6, 10}) CHECK(drawn(*one, id, 500) == drawn(*two, id, 500));
  State wrong;
  wrong.set("count", Ints{{1, 1, 1, 1}, {2, 2}});
  CHECK_THROWS_WITH(two->load(wrong), ContainsSubstring("saved counts are of 4 pairs of clusters"));
}

TEST_CASE("by_cluster declares what it listens to, and a schedule moves beta") {
  testing::check_component(testing::registry(), Transform::kInterface, "by_cluster");
  const auto wishes = made()->subscriptions();
  REQUIRE(wishes.size() == 1);
  CHECK((wishes[0].topic == "detector_success" && wishes[0].delay == 8));
  CHECK(wishes[0].echo == Strings{"cluster_pair"});
  const auto other = made({{"feedback", Table{{"topic", "mine"}, {"delay", "3 steps"}}}})->subscriptions();
  CHECK((other[0].topic == "mine" && other[0].delay == 3));
  const auto transform = started({{"beta", 5000.0}});  // no overflow, and rows without counts stay uniform
  check_share(drawn(*transform, 4, 30000)[4], 1.0 / 6, 30000);
  transform->receive(message({0, 0}, {0, 0}));
  CHECK(drawn(*transform, 4, 1000)[4] + drawn(*transform, 4, 1000)[5] == 1000);
  transform->set("beta", 0);
  check_share(drawn(*transform, 4, 30000)[4], 1.0 / 6, 30000);
}

TEST_CASE("by_cluster says what does not fit") {
  CHECK_THROWS_WITH(made({{"feedback", Table{{"delay", "1.5 steps"}}}}),
                    ContainsSubstring("`feedback.delay` is 1.5 steps; a whole number of steps"));
  CHECK_THROWS_WITH(made({{"beta", -1.0}}), ContainsSubstring("`beta` is -1"));
  const auto start = [](std::vector<std::int64_t> of) { made()->start(Stage(std::move(of))); };
  CHECK_THROWS_WITH(start({-1, 0, 1}), ContainsSubstring("knows 3 tokens, the tokenizer has 16"));
  auto of = clusters();
  of[2] = 1;
  CHECK_THROWS_WITH(start(of), ContainsSubstring("gives token 2 the cluster 1"));
  of = clusters(), of[9] = -1;
  CHECK_THROWS_WITH(start(of), ContainsSubstring("gives token 9 the cluster -1"));
  of = clusters(), of[9] = 1LL << 60;
  CHECK_THROWS_WITH(start(of), ContainsSubstring("gives token 9 the cluster 1152921504606846976"));
  of = clusters();
  for (auto& cluster : of) cluster = cluster == 1 ? 2 : cluster;
  CHECK_THROWS_WITH(start(of), ContainsSubstring("cluster 1 of artifact `groups` has no token"));
  const auto transform = started();
  CHECK_THROWS_WITH(transform->receive({"detector_success", 0, {}}), ContainsSubstring("has no integers `right`"));
  CHECK_THROWS_WITH(transform->receive(message({1, 2}, {1})), ContainsSubstring("1 value in `right` for 2 tokens"));
  auto group = tokens(2, 1);
  auto random = RandomStreams(1).stream();
  CHECK_THROWS_WITH(transform->apply(group, random), ContainsSubstring("token 2 is chosen and has no cluster"));
}

}  // namespace by_cluster_test
