#include <algorithm>
#include <set>

#include "study_fixture.h"

namespace random_test {

using namespace xp;
using namespace xp::fixture;

Table random(std::int64_t trials) { return {{"type", "random"}, {"trials", trials}}; }

const std::vector<SearchAxis> kAxes{listed("a", {"x", "y"}), when(log_range("b", 1e-4, 1), "a", {"x"}),
                                    whole(range("c", 1, 3))};

TEST_CASE("random describes itself") { testing::check_component(testing::registry(), "search", "random"); }

TEST_CASE("random: values fill their ranges, asked ones only") {
  std::map<std::string, int> seen;
  std::vector<double> b;
  for (const auto& trial : trials(swept(*study(random(3000), kAxes), bowl))) {
    const auto a = *trial.values.at("a").as<std::string>();
    ++seen[a];
    ++seen[to_text(trial.values.at("c"))];
    REQUIRE(trial.values.contains("b") == (a == "x"));
    if (a == "x") b.push_back(std::log10(number(trial, "b")));
  }
  CHECK(seen.size() == 5);
  for (const auto& [value, times] : seen) {
    INFO(value);
    const double expected = value == "x" || value == "y" ? 1500 : 1000;
    CHECK(std::abs(times - expected) < 4 * std::sqrt(expected));
  }
  std::sort(b.begin(), b.end());
  CHECK(b.front() >= -4);
  CHECK(b.back() <= 0);
  CHECK(std::abs(b[b.size() / 2] + 2) < 0.25);  // the median of the logarithm
}

TEST_CASE("random: whole numbers of a logarithmic range take their shares of the logarithm") {
  int one = 0, four = 0;
  for (const auto& trial : trials(swept(*study(random(4000), {whole(log_range("a", 1, 4))}), bowl))) {
    one += number(trial, "a") == 1;
    four += number(trial, "a") == 4;
  }
  // From 0.5 to 1.5 and from 3.5 to 4.5 of 0.5 to 4.5.
  CHECK(std::abs(one - 4000 * std::log(3) / std::log(9)) < 130);
  CHECK(std::abs(four - 4000 * std::log(4.5 / 3.5) / std::log(9)) < 90);
}

TEST_CASE("random: another axis moves no value, and axes of one zip share their row") {
  const auto alone = trials(swept(*study(random(20), {range("a", 0, 1)}), bowl));
  const auto beside = trials(swept(
      *study(random(20), {zipped("z", {1, 2, 3}, "rows"), range("a", 0, 1), zipped("y", {1, 2, 3}, "rows")}), bowl));
  for (std::size_t i = 0; i < alone.size(); ++i) {
    CHECK(alone[i].values.at("a") == beside[i].values.at("a"));
    CHECK(beside[i].values.at("y") == beside[i].values.at("z"));
  }
  const auto pair = trials(swept(*study(random(1), {range("a", 0, 1), range("b", 0, 1)}), bowl));
  CHECK(pair[0].values.at("a") != pair[0].values.at("b"));
}

TEST_CASE("random: an arm without axes is tried once") { CHECK(proposals(*study(random(9), {})).size() == 1); }

TEST_CASE("random replays and can be extended") {
  check_replay(random(20), kAxes);
  check_extension(random(10), kAxes);
}

}  // namespace random_test
