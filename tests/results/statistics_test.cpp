// Statistics against SciPy (tools/parity/scipy_statistics.py wrote the golden files), by hand, and under true nulls.
#include "results/statistics.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"

namespace {

using namespace xp;
using Catch::Approx;
using nlohmann::json;

json golden(const std::string& name) {
  std::ifstream in(std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/statistics" / name);
  REQUIRE(in);
  return json::parse(in);
}

using V = std::vector<double>;

// Within 1e-9 of the larger: SciPy sums in another order.
auto near(double expected) { return Approx(expected).epsilon(1e-9).margin(1e-12); }

TEST_CASE("one-sample statistics equal SciPy's") {
  for (const auto& one : golden("one_sample.json")) {
    INFO(one["name"]);
    const auto x = one["x"].get<V>();
    CHECK(mean_of(x) == near(one["mean"]));
    CHECK(sd_of(x) == near(one["sd"]));
    CHECK(t_interval(x).low == near(one["low"]));
    CHECK(t_interval(x).high == near(one["high"]));
    CHECK(paired_t(x) == near(one["paired_t"]));
    CHECK(wilcoxon(x) == near(one["wilcoxon"]));
    if (one.contains("sign_flip")) CHECK(sign_flip(x) == near(one["sign_flip"]));
    const auto bootstrap = paired_bootstrap(x, 7);
    CHECK(bootstrap.p == near(one["bootstrap"]["p"]));
    CHECK(bootstrap.interval.low == near(one["bootstrap"]["low"]));
    CHECK(bootstrap.interval.high == near(one["bootstrap"]["high"]));
  }
}

TEST_CASE("correlations and slopes equal SciPy's") {
  for (const auto& one : golden("pairs.json")) {
    INFO(one["name"]);
    const auto x = one["x"].get<V>(), y = one["y"].get<V>();
    CHECK(pearson(x, y) == near(one["pearson"]));
    CHECK(spearman(x, y) == near(one["spearman"]));
    CHECK(slope_of(x, y) == near(one["slope"]));
  }
}

TEST_CASE("McNemar and Holm equal SciPy's and statsmodels'") {
  for (const auto& one : golden("mcnemar.json")) CHECK(mcnemar(one["arm"], one["baseline"]) == near(one["p"]));
  for (const auto& one : golden("holm.json")) {
    const auto adjusted = holm(one["p"].get<V>());
    const auto expected = one["adjusted"].get<V>();
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(adjusted[i] == near(expected[i]));
  }
  CHECK(holm(V{}).empty());
}

TEST_CASE("the needed number of pairs is within one of the t test's exact power") {
  for (const auto& one : golden("power.json")) {
    const double exact = std::ceil(one["n"].get<double>());
    const auto n = static_cast<double>(pairs_needed(one["difference"], one["sd"], one["alpha"], "paired_t"));
    INFO(one.dump() << " " << n);
    CHECK(std::abs(n - exact) <= 1);
  }
  CHECK(pairs_needed(10, 0.1, 0.05, "sign_flip") == 5);  // 1/2^5 is the first below 0.05
  CHECK(pairs_needed(10, 0.1, 0.1, "sign_flip") == 4);
  CHECK(pairs_needed(10, 0, 0.01, "wilcoxon") == 7);
  CHECK(pairs_needed(0, 1, 0.05, "sign_flip") == 0);
  CHECK(pairs_needed(-1, 1, 0.05, "sign_flip") == 0);
}

TEST_CASE("sign flips by hand") {
  CHECK(sign_flip(V{1, 2, 3}) == 1.0 / 8);   // only the observed pattern reaches 6
  CHECK(sign_flip(V{1, 2, -3}) == 5.0 / 8);  // sums 6 4 2 0 0 -2 -4 -6: five reach 0
  CHECK(sign_flip(V{-1, -2, -3}) == 1);
  CHECK(sign_flip(V{0, 0, 0}) == 1);
  CHECK(sign_flip(V{0, 1}) == 0.5);  // a difference of 0 gives no evidence
  CHECK(sign_flip(V{}) == 1);
  CHECK(sign_flip(V{5}) == 0.5);
  CHECK(sign_flip(V{0.1, 0.2, 0.3, -0.6}) ==
        Approx(9.0 / 16));  // 0.1 + 0.2 + 0.3 - 0.6 is not 0 in doubles: ties count
  CHECK(std::isnan(sign_flip(V{1, std::nan("")})));
  CHECK(smallest_p("sign_flip", 4) == 0.0625);
}

TEST_CASE("drawn sign flips agree with a normal approximation and never give 0") {
  V x(64);
  RandomStream random(5);
  for (auto& v : x) v = random.uniform() - 0.4;
  double squares = 0;
  for (const double v : x) squares += v * v;
  const double z = mean_of(x) * 64 / std::sqrt(squares);
  const double expected = 0.5 * std::erfc(z / std::sqrt(2.0));
  CHECK(sign_flip(x) == Approx(expected).margin(0.01));
  CHECK(sign_flip(x) == sign_flip(x));
  CHECK(sign_flip(V(64, 1.0)) == 1.0 / (kFlips + 1));
  CHECK(smallest_p("sign_flip", 64) == 1.0 / (kFlips + 1));
}

TEST_CASE("numbers that cannot be judged are NaN, not significant") {
  const double nan = std::nan(""), inf = INFINITY;
  CHECK(std::isnan(mean_of(V{})));
  CHECK(std::isnan(sd_of(V{1})));
  CHECK(std::isnan(t_interval(V{1}).low));
  CHECK(std::isnan(paired_t(V{1})));
  CHECK(std::isnan(paired_t(V{2, 2, 2})));
  CHECK(std::isnan(wilcoxon(V{nan, 1})));
  CHECK(std::isnan(paired_bootstrap(V{1, inf}).p));
  CHECK(wilcoxon(V{0, 0}) == 1);
  CHECK(std::isnan(pearson(V{1, 1}, V{1, 2})));
  CHECK(std::isnan(slope_of(V{1, 1}, V{1, 2})));
  CHECK_THROWS_AS(pearson(V{1}, V{1, 2}), Error);
  CHECK_THROWS_AS(smallest_p("magic", 3), Error);
  CHECK_THROWS_AS(mcnemar(-1, 2), Error);
}

double normal(RandomStream& random) {
  return std::sqrt(-2 * std::log(random.uniform())) * std::cos(6.283185307179586 * random.uniform());
}

// The share of true nulls that a test rejects; 4 standard errors of the share at 4000 draws are 0.014.
template <class Test>
double rejections(Test test, std::size_t n, double alpha, double skew = 0) {
  RandomStream random(n);
  int rejected = 0;
  constexpr int kDraws = 4000;
  for (int draw = 0; draw < kDraws; ++draw) {
    V x(n);
    for (auto& v : x) v = normal(random), v *= 1 + skew * std::abs(normal(random));
    rejected += test(x) <= alpha;
  }
  return static_cast<double>(rejected) / kDraws;
}

TEST_CASE("under a true null a test rejects as often as it says") {
  const auto flips = [](const V& x) { return sign_flip(x); };
  CHECK(rejections(flips, 6, 3.0 / 64) == Approx(3.0 / 64).margin(0.014));  // a level that the test can reach
  CHECK(rejections(flips, 12, 0.05, 3) == Approx(0.05).margin(0.014));      // heavy tails, still symmetric
  CHECK(rejections(flips, 4, 0.05) == 0);                                   // 1/16 is its smallest
  CHECK(rejections([](const V& x) { return paired_t(x); }, 6, 0.05) == Approx(0.05).margin(0.014));
  CHECK(rejections([](const V& x) { return wilcoxon(x); }, 10, 0.05) <= 0.05 + 0.014);
}

TEST_CASE("with a true difference the needed number of pairs gives about 80 % power") {
  const auto n = pairs_needed(1, 1, 0.05, "sign_flip");
  RandomStream random(3);
  int found = 0;
  for (int draw = 0; draw < 2000; ++draw) {
    V x(n);
    for (auto& v : x) v = 1 + normal(random);
    found += sign_flip(x) <= 0.05;
  }
  CHECK(found / 2000.0 == Approx(0.8).margin(0.06));
}

}  // namespace
