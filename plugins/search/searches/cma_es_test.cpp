#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "study_fixture.h"

namespace cma_es_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;

Table cma(std::int64_t trials, Table more = {}) {
  more.insert({{"type", "cma_es"}, {"trials", trials}});
  return more;
}

const std::vector<SearchAxis> kAxes{range("a", 0, 1), log_range("b", 1e-4, 1), whole(range("c", 1, 30)),
                                    listed("d", {0.5, 0.1, 0.2})};

TEST_CASE("cma_es describes itself") { testing::check_component(testing::registry(), "search", "cma_es"); }

TEST_CASE("cma_es: a generation is proposed, and no more until all of it is told, in whatever order") {
  std::vector<std::string> second;
  for (const bool backwards : {false, true}) {
    const auto search = study(cma(100), {range("a", 0, 1), range("b", 0, 1)});
    std::vector<Trial> generation;
    while (const auto trial = search->propose()) generation.push_back(*trial);
    REQUIRE(generation.size() == 6);  // 4 + 3 ln 2
    CHECK_FALSE(search->finished());
    if (backwards) std::reverse(generation.begin(), generation.end());
    for (const auto& trial : generation) {
      CHECK_FALSE(search->propose());
      search->tell({trial.number, bowl(trial), true, 1});
    }
    const auto next = search->propose();
    REQUIRE(next);
    CHECK(next->number == 6);
    second.push_back(text(*next));
    search->tell({0, 1.0, true, 1});  // its generation is over
    CHECK(search->propose()->number == 7);
    CHECK_THROWS_WITH(search->tell({8, 1.0, true, 1}), ContainsSubstring("trial 8 was told and 8 trials proposed"));
  }
  CHECK(second[0] == second[1]);
}

TEST_CASE("cma_es: values keep to their ranges and lists") {
  std::set<std::string> listed_values;
  for (const auto& trial : trials(swept(*study(cma(300, {{"sigma", 1.0}}), kAxes), [](const Trial&) { return 0; }))) {
    CHECK((number(trial, "a") >= 0 && number(trial, "a") <= 1));
    CHECK((number(trial, "b") >= 1e-4 && number(trial, "b") <= 1));
    CHECK((trial.values.at("c").as<std::int64_t>() && number(trial, "c") >= 1 && number(trial, "c") <= 30));
    listed_values.insert(to_text(trial.values.at("d")));
  }
  CHECK(listed_values == std::set<std::string>{"0.1", "0.2", "0.5"});
}

TEST_CASE("cma_es: failed trials rank last, those that came further first, and a generation of them moves nothing") {
  const auto second = [](double progress, bool done, double goal) {
    const auto search = study(cma(100, {{"population", 4}}), {range("a", 0, 1)});
    for (int i = 0; i < 4; ++i) search->propose();
    // The last one may be better than all by its goal.
    for (int i = 0; i < 3; ++i) search->tell({i, static_cast<double>(i), true, 1});
    search->tell({3, goal, done, progress});
    return text(*search->propose());
  };
  CHECK(second(1, false, -9) == second(1, true, 9));
  CHECK(second(1, true, std::nan("")) == second(1, true, 9));
  CHECK(second(1, true, -9) != second(1, true, 9));

  const auto pruned = [](double first, double other) {
    const auto search = study(cma(100, {{"population", 4}}), {range("a", 0, 1)});
    for (int i = 0; i < 4; ++i) search->propose();
    search->tell({0, 0.0, true, 1});
    search->tell({1, 0.0, false, 0.1});
    search->tell({2, 0.0, false, first});
    search->tell({3, 0.0, false, other});
    return text(*search->propose());
  };
  CHECK(pruned(0.5, 0.3) == pruned(0.4, 0.2));
  CHECK(pruned(0.5, 0.3) != pruned(0.3, 0.5));

  // Nothing learnt: the next generation comes from the first distribution, so its numbers alone decide.
  const auto lost = study(cma(100, {{"population", 4}}), {range("a", 0, 1)});
  for (int i = 0; i < 4; ++i) lost->propose();
  for (int i = 0; i < 4; ++i) lost->tell({i, 0.0, false, 0.5});
  const auto wide = study(cma(100, {{"population", 50}}), {range("a", 0, 1)});
  for (int i = 0; i < 4; ++i) wide->propose();
  CHECK(text(*lost->propose()) == text(*wide->propose()));
}

TEST_CASE("cma_es: the distribution after three generations is that of another program") {
  // Mean and covariance of the package cmaes 0.13.1 (Python), told the same 18 samples and goals, with the 1/4 that
  // version 2 of the tutorial adds to c_mu (equation 58).
  constexpr double kMean[] = {0.285769632446448, 0.5742182256716222};
  constexpr double kA = 0.0206166521008379, kB = -0.003044689747917811, kC = 0.00589469965603227;
  const auto search = study(cma(24, {{"sigma", 0.05}}), {range("a", 0, 1), range("b", 0, 1)});
  while (const auto trial = search->propose()) {
    const double a = number(*trial, "a"), b = number(*trial, "b");
    search->tell({trial->number, (a - 0.3) * (a - 0.3) + 5 * (b - 0.6) * (b - 0.6) + a * b, true, 1});
    if (trial->number < 18) continue;
    // A sample lies as many deviations from the mean as the normal numbers that it was made of are long.
    double drawn = 0;
    auto stream = RandomStreams(1).stream(trial->number);
    for (int i = 0; i < 2; ++i) {
      const double radius = -2 * std::log(stream.uniform());
      drawn += radius * std::pow(std::cos(2 * 3.14159265358979323846 * stream.uniform()), 2);
    }
    const double x = a - kMean[0], y = b - kMean[1];
    const double seen = (kC * x * x - 2 * kB * x * y + kA * y * y) / (kA * kC - kB * kB);
    CHECK(std::abs(seen - drawn) < 1e-6);
  }
}

TEST_CASE("cma_es finds the minimum of a narrow valley that lies across the axes") {
  const auto goal = [](const Trial& trial) {
    const double u = number(trial, "a") - 0.7, v = number(trial, "b") - 0.4, w = number(trial, "c") - 0.2;
    return (u + v) * (u + v) + 1000 * (u - v) * (u - v) + 30 * (v + w) * (v + w) + w * w;
  };
  const std::vector<SearchAxis> axes{range("a", 0, 1), range("b", 0, 1), range("c", 0, 1)};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto search = study(cma(1000), axes, seed);
    double best = 1;
    while (const auto trial = search->propose()) {
      best = std::min(best, goal(*trial));
      search->tell({trial->number, goal(*trial), true, 1});
    }
    CHECK(best < 1e-9);
  }
}

TEST_CASE("cma_es: minima at a border and in a list of numbers are found") {
  const auto search =
      study(cma(200), {range("a", 0, 1), listed("d", {0.5, 0.1, 0.9, 0.3}), whole(range("c", 1, 30))});
  Trial best;
  double least = 1e9;
  while (const auto trial = search->propose()) {
    const double value = number(*trial, "a") + std::abs(number(*trial, "d") - 0.9) + 0.1 * number(*trial, "c");
    if (value < least) least = value, best = *trial;
    search->tell({trial->number, value, true, 1});
  }
  CHECK(number(best, "a") < 0.01);
  CHECK(number(best, "d") == 0.9);
  CHECK(number(best, "c") == 1);
}

TEST_CASE("cma_es: what it cannot search is refused") {
  CHECK_THROWS_WITH(study(cma(9), {listed("a", {1, 2}), when(range("b", 0, 1), "a", {1})}),
                    ContainsSubstring("`b` has a `when`; search by tpe or at random"));
  CHECK_THROWS_WITH(study(cma(9), {listed("a", {1, "none"})}), ContainsSubstring("`a` can be \"none\""));
  CHECK_THROWS_WITH(study(cma(9, {{"population", 1}}), {}), ContainsSubstring("write 0 or at least 2"));
  CHECK(proposals(*study(cma(9), {})).size() == 1);
}

TEST_CASE("cma_es replays and can be extended") {
  check_replay(cma(30), kAxes);
  check_extension(cma(10), kAxes);
}

TEST_CASE("cma_es beats random trials on a smooth function") { CHECK(wins_over_random({{"type", "cma_es"}}) >= 15); }

}  // namespace cma_es_test
