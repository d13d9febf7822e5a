#include "kit/weighting.h"

#include <algorithm>
#include "api/ops.h"
#include "base/random.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <map>

namespace weighting_test {

using namespace xp;
using Catch::Matchers::WithinAbs;

std::vector<Near> scores(std::uint64_t seed, int n) {
  RandomStream stream(seed);
  std::vector<Near> out;
  for (int i = 0; i < n; ++i) out.push_back({static_cast<TokenId>(i), 2 * stream.uniform() - 1});
  std::sort(out.begin(), out.end(), [](const Near& a, const Near& b) { return a.cosine > b.cosine; });
  return out;
}

/// The weights max(0, f(score - t)) that sum to 1, by bisection on t.
template <class F>
std::map<TokenId, double> by_bisection(const std::vector<Near>& near, double temperature, const F& f) {
  double low = -10 / temperature, high = 10 / temperature;
  for (int step = 0; step < 200; ++step) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (const auto& one : near) sum += f(std::max(one.cosine / temperature - middle, 0.0));
    (sum > 1 ? low : high) = middle;
  }
  std::map<TokenId, double> out;
  for (const auto& one : near) out[one.token] = f(std::max(one.cosine / temperature - low, 0.0));
  return out;
}

double weight_of(const std::vector<MixPart>& parts, TokenId token) {
  for (const auto& part : parts)
    if (part.source == token) return part.weight;
  return 0;
}

TEST_CASE("sparse weightings are the projections that they are named for") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    for (const double temperature : {1.0, 0.1}) {
      const auto near = scores(seed, 30);
      const auto sparse = weigh(near, Weighting::sparsemax, temperature),
                 less = weigh(near, Weighting::entmax15, temperature);
      const auto projected = by_bisection(near, temperature, [](double x) { return x; });
      const auto softer = by_bisection(near, temperature, [](double x) { return x * x / 4; });
      for (const auto& one : near) {
        CHECK_THAT(weight_of(sparse, one.token), WithinAbs(projected.at(one.token), 1e-9));
        CHECK_THAT(weight_of(less, one.token), WithinAbs(softer.at(one.token), 1e-9));
      }
      CHECK(less.size() >= sparse.size());
    }
  CHECK(weigh({}, Weighting::sparsemax, 1).empty());
  CHECK(weigh({{7, 0.2}}, Weighting::entmax15, 1).at(0).weight == 1);
}

TEST_CASE("softmax of cosines keeps every token") {
  const auto parts = weigh({{0, 0.9}, {1, 0.8}, {2, -1}}, Weighting::softmax, 0.1);
  REQUIRE(parts.size() == 3);
  CHECK_THAT(parts[0].weight / parts[1].weight, WithinAbs(std::exp(1.0), 1e-9));
}

SubwordVectors vectors(std::int64_t tokens, std::int64_t width, std::uint64_t seed) {
  auto table = ops::empty({tokens, width}, at::kFloat);
  RandomStream stream(seed);
  for (std::int64_t i = 0; i < table.numel(); ++i)
    table.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform() + 0.2);  // all near one another
  return {table.div(table.norm(2, 1, true)), std::vector<bool>(static_cast<std::size_t>(tokens), true)};
}

TEST_CASE("weights over all tokens are those over the few that they use") {
  const auto of = vectors(12, 8, 1), among = vectors(700, 8, 2);
  std::vector<TokenId> rows{0, 5, 11};
  const auto few = weighted_neighbours(of, rows, among, 0, Weighting::entmax15, 0.5),
             all = weighted_neighbours(of, rows, among, 700, Weighting::entmax15, 0.5);
  std::size_t wide = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    wide += few[i].size() > 64;  // more than are looked at first
    REQUIRE(few[i].size() == all[i].size());
    for (std::size_t k = 0; k < few[i].size(); ++k) {
      CHECK(few[i][k].source == all[i][k].source);
      CHECK_THAT(few[i][k].weight, WithinAbs(all[i][k].weight, 1e-9));
    }
  }
  CHECK(wide == rows.size());
}

}  // namespace weighting_test
