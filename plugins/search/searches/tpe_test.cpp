#include <set>

#include "study_fixture.h"

namespace tpe_test {

using namespace xp;
using namespace xp::fixture;

Table tpe(std::int64_t trials, Table more = {}) {
  more.insert({{"type", "tpe"}, {"trials", trials}});
  return more;
}

const std::vector<SearchAxis> kAxes{listed("a", {"x", "y"}),        when(log_range("b", 1e-4, 1), "a", {"x"}),
                                    whole(range("c", 1, 30)),       zipped("d", {1, 2, 3}, "rows"),
                                    zipped("e", {4, 5, 6}, "rows"), range("f", 0, 1)};

TEST_CASE("tpe describes itself") { testing::check_component(testing::registry(), "search", "tpe"); }

TEST_CASE("tpe: the first trials are those of random, until enough are told") {
  const auto random = trials(swept(*study({{"type", "random"}, {"trials", 20}}, kAxes), bowl));
  const auto likely = trials(swept(*study(tpe(20, {{"startup", 5}}), kAxes), bowl, 1));
  std::vector<bool> equal;
  for (std::size_t i = 0; i < 20; ++i) equal.push_back(text(random[i]) == text(likely[i]));
  CHECK(std::all_of(equal.begin(), equal.begin() + 5, [](bool one) { return one; }));
  CHECK(std::count(equal.begin() + 5, equal.end(), true) < 5);
  // Nothing is told before the end: all are drawn at random.
  const auto untold = trials(swept(*study(tpe(20), kAxes), bowl, 20));
  for (std::size_t i = 0; i < 20; ++i) CHECK(text(untold[i]) == text(random[i]));
}

TEST_CASE("tpe: proposals gather where trials were good") {
  const auto axes = std::vector{range("a", 0, 1), listed("b", {"bad", "good", "worse"}), whole(range("c", 0, 9))};
  const auto goal = [](const Trial& trial) {
    return std::abs(number(trial, "a") - 0.8) + (text(trial).find("good") == std::string::npos) +
           0.1 * std::abs(number(trial, "c") - 2);
  };
  int near = 0, good = 0, two = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto all = trials(swept(*study(tpe(60), axes, seed), goal, 1));
    for (std::size_t i = 40; i < 60; ++i) {
      near += std::abs(number(all[i], "a") - 0.8) < 0.15;
      good += text(all[i]).find("good") != std::string::npos;
      two += std::abs(number(all[i], "c") - 2) <= 1;
    }
  }
  CHECK(near > 60);  // 30 of 100 at random
  CHECK(good > 70);  // 33
  CHECK(two > 60);   // 30
}

TEST_CASE("tpe: failed trials are bad ones") {
  // Whatever lies below 0.5 fails, and would be best by the goal that is told.
  const auto search = study(tpe(40, {{"startup", 10}}), {range("a", 0, 1)});
  int above = 0;
  for (int i = 0; i < 40; ++i) {
    const auto trial = search->propose();
    const double a = number(*trial, "a");
    if (i >= 20) above += a >= 0.5;
    search->tell({trial->number, a >= 0.5 ? std::abs(a - 0.8) : -1, a >= 0.5, 1});
  }
  CHECK(above >= 16);
  // Where all fail it goes on.
  const auto hopeless = study(tpe(30, {{"startup", 2}}), {range("a", 0, 1)});
  while (const auto trial = hopeless->propose())
    hopeless->tell({trial->number, std::nan(""), trial->number % 2 == 0, 1});
  CHECK(hopeless->finished());
}

TEST_CASE("tpe: trials that are not told yet are not proposed again, and push others away") {
  const auto rows = listed("a", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto search = study(tpe(12, {{"startup", 1}}), {rows}, seed);
    std::set<std::string> seen;
    for (int i = 0; i < 8; ++i) {
      const auto trial = search->propose();
      CHECK(seen.insert(text(*trial)).second);
      if (i == 0) search->tell({trial->number, 0.0, true, 1});
    }
  }

  // Thirty that wait push each other from row to row; counted as good they would gather in one.
  const auto search = study(tpe(40, {{"startup", 10}}), {listed("a", {1, 2, 3}), range("b", 0, 1)});
  for (int i = 0; i < 10; ++i) search->tell({search->propose()->number, 0.0, true, 1});
  std::map<double, int> waiting;
  for (int i = 0; i < 30; ++i) ++waiting[number(*search->propose(), "a")];
  for (const auto& [row, times] : waiting) CHECK(times < 20);
}

TEST_CASE("tpe: a space that is used up does not stop it") {
  CHECK(proposals(*study(tpe(30, {{"startup", 2}}), {listed("a", {1, 2})})).size() == 30);
  CHECK(proposals(*study(tpe(30), {})).size() == 1);
}

TEST_CASE("tpe replays and can be extended") {
  check_replay(tpe(30, {{"startup", 4}}), kAxes);
  check_extension(tpe(10, {{"startup", 4}}), kAxes);
}

TEST_CASE("tpe beats random trials on a smooth function") { CHECK(wins_over_random({{"type", "tpe"}}) >= 15); }

TEST_CASE("tpe: a trial that was not proposed cannot be told") {
  CHECK_THROWS_AS(study(tpe(9), kAxes)->tell({0, 1.0, true, 1}), Error);
}

}  // namespace tpe_test
