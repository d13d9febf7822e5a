#include "kit/nearest.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "kit/nearest_screen.h"

namespace nearest_test {

using namespace xp;

struct Vectors {
  std::vector<float> numbers;
  std::size_t dim = 0;
  VectorRows rows() const { return {numbers.data(), numbers.size() / dim, dim}; }
};

double normal(RandomStream& stream) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += stream.uniform();
  return sum - 6;
}

/// Rows around one of `centres`, so near to it that cosines agree to many digits.
Vectors clustered(std::size_t rows, std::size_t dim, std::size_t centres, double spread, std::uint64_t seed) {
  Vectors out{{}, dim};
  std::vector<double> middle(centres * dim);
  RandomStream of_centres(99), stream(seed);
  for (double& one : middle) one = normal(of_centres);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto c = static_cast<std::size_t>(stream.below(static_cast<std::int64_t>(centres)));
    for (std::size_t d = 0; d < dim; ++d)
      out.numbers.push_back(static_cast<float>(middle[c * dim + d] + spread * normal(stream)));
  }
  return out;
}

double dot(const float* a, const float* b, std::size_t n) {
  long double sum = 0;
  for (std::size_t d = 0; d < n; ++d) sum += static_cast<long double>(a[d]) * static_cast<long double>(b[d]);
  return static_cast<double>(sum);
}

/// Every pair, and a whole sort.
std::vector<Neighbour> by_brute_force(const VectorRows& queries, const VectorRows& keys, std::size_t k) {
  std::vector<Neighbour> out;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::vector<Neighbour> all;
    const float* a = queries.data + q * queries.dim;
    for (std::size_t j = 0; j < keys.rows; ++j) {
      const float* b = keys.data + j * keys.dim;
      const double lengths = std::sqrt(dot(a, a, keys.dim)) * std::sqrt(dot(b, b, keys.dim));
      all.push_back({static_cast<std::int64_t>(j), lengths > 0 ? dot(a, b, keys.dim) / lengths : 0});
    }
    std::sort(all.begin(), all.end(), [](const Neighbour& x, const Neighbour& y) {
      return x.cosine != y.cosine ? x.cosine > y.cosine : x.row < y.row;
    });
    out.insert(out.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(k, keys.rows)));
  }
  return out;
}

/// The same rows, unless cosines differ by less than double can tell apart.
void check_equal(const std::vector<Neighbour>& found, const std::vector<Neighbour>& wanted) {
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    INFO("place " << i << ": row " << found[i].row << " instead of " << wanted[i].row);
    CHECK(std::abs(found[i].cosine - wanted[i].cosine) < 1e-14);
    if (found[i].row != wanted[i].row && i + 1 < found.size() && i > 0)
      CHECK((std::abs(wanted[i].cosine - wanted[i + 1].cosine) < 1e-14 ||
             std::abs(wanted[i].cosine - wanted[i - 1].cosine) < 1e-14));
  }
}

TEST_CASE("neighbours that differ in the sixth digit are those of a search over all pairs") {
  for (const double spread : {1.0, 1e-2, 1e-4})
    for (const std::size_t dim : {2, 7, 48, 300}) {
      INFO("spread " << spread << ", dimension " << dim);
      const auto queries = clustered(45, dim, 5, spread, 1), keys = clustered(700, dim, 5, spread, 2);
      check_equal(nearest_rows(queries.rows(), keys.rows(), 10, 1), by_brute_force(queries.rows(), keys.rows(), 10));
    }
}

TEST_CASE("rows that agree to the last digits of a float are told apart") {
  for (const double spread : {1e-6, 1e-7, 0.0}) {
    const auto queries = clustered(20, 64, 1, spread, 1), keys = clustered(300, 64, 1, spread, 2);
    INFO("spread " << spread);
    check_equal(nearest_rows(queries.rows(), keys.rows(), 10, 1), by_brute_force(queries.rows(), keys.rows(), 10));
  }
}

TEST_CASE("a large number that all rows share, or some have, takes nothing away") {
  auto queries = clustered(40, 96, 6, 0.5, 3), keys = clustered(500, 96, 6, 0.5, 4);
  for (auto* side : {&queries, &keys})
    for (std::size_t r = 0; r < side->rows().rows; ++r) {
      side->numbers[r * 96 + 5] += 300;
      side->numbers[r * 96 + 7] *= r % 3 == 0 ? -200.0F : 1.0F;
    }
  check_equal(nearest_rows(queries.rows(), keys.rows(), 7, 1), by_brute_force(queries.rows(), keys.rows(), 7));
}

TEST_CASE("rows of any length count by direction, equal ones by number, zeros as orthogonal") {
  const Vectors keys{{0, 0, 1, 0, 1e-30F, 0, 1e30F, 0, -1, 0, 0, 2, 1, 0}, 2};
  const Vectors queries{{5, 0, 0, 0, 0, 1e-20F}, 2};
  const auto found = nearest_rows(queries.rows(), keys.rows(), 100);
  std::vector<std::int64_t> rows;
  for (const auto& one : found) rows.push_back(one.row);
  CHECK(rows == std::vector<std::int64_t>{1, 2, 3, 6, 0, 5, 4, 0, 1, 2, 3, 4, 5, 6, 5, 0, 1, 2, 3, 4, 6});
  CHECK(found[0].cosine == 1);
  CHECK(found[6].cosine == -1);
}

TEST_CASE("any number of threads and every k gives the same neighbours") {
  const auto queries = clustered(1000, 20, 9, 0.7, 5), keys = clustered(333, 20, 9, 0.7, 6);
  const auto one = nearest_rows(queries.rows(), keys.rows(), 333, 1);
  const auto four = nearest_rows(queries.rows(), keys.rows(), 333, 4),
             few = nearest_rows(queries.rows(), keys.rows(), 3, 2);
  REQUIRE(one.size() == four.size());
  for (std::size_t i = 0; i < one.size(); ++i)
    REQUIRE((one[i].row == four[i].row && one[i].cosine == four[i].cosine));
  for (std::size_t q = 0; q < 1000; ++q)
    for (std::size_t n = 0; n < 3; ++n) REQUIRE(few[q * 3 + n].row == one[q * 333 + n].row);
}

TEST_CASE("what counts beside the nearest is found whole, for any number of threads") {
  const auto queries = clustered(500, 24, 9, 0.7, 5), keys = clustered(900, 24, 9, 0.7, 6);
  // No more than a quarter below the mean of the best three; further keys only lift it.
  const auto least = [](const std::vector<Neighbour>& best) {
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i) sum += i < best.size() ? best[i].cosine : -1;
    return sum / 3 - 0.25;
  };
  const auto found = support_rows(queries.rows(), keys.rows(), least, 1),
             again = support_rows(queries.rows(), keys.rows(), least, 3);
  const auto every = nearest_rows(queries.rows(), keys.rows(), 900, 1);
  std::size_t most = 0, fewest = 900;
  for (std::size_t q = 0; q < 500; ++q) {
    const std::vector<Neighbour> all(every.begin() + static_cast<std::ptrdiff_t>(q * 900),
                                     every.begin() + static_cast<std::ptrdiff_t>((q + 1) * 900));
    const double floor = least(all);
    const auto wanted = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.cosine > floor; }));
    REQUIRE(found[q].size() == wanted);
    REQUIRE(again[q].size() == wanted);
    for (std::size_t i = 0; i < wanted; ++i) {
      REQUIRE(found[q][i].row == all[i].row);
      REQUIRE(found[q][i].cosine == all[i].cosine);
      REQUIRE(again[q][i].row == all[i].row);
    }
    most = std::max(most, wanted), fewest = std::min(fewest, wanted);
  }
  CHECK(fewest < 40);
  CHECK(most > 60);
  CHECK(support_rows(queries.rows(), {nullptr, 0, 24}, least).at(499).empty());
}

TEST_CASE("vectors that cannot be compared are errors, and nothing has no neighbours") {
  const Vectors flat{{1, 2, 3}, 3}, deep{{1, 2}, 2}, broken{{1, std::numeric_limits<float>::quiet_NaN(), 2}, 3};
  CHECK_THROWS_WITH(nearest_rows(flat.rows(), deep.rows(), 1), Catch::Matchers::ContainsSubstring("3 and 2"));
  CHECK_THROWS_WITH(nearest_rows(flat.rows(), broken.rows(), 1), Catch::Matchers::ContainsSubstring("not finite"));
  CHECK(nearest_rows({nullptr, 0, 3}, flat.rows(), 1).empty());
  CHECK(nearest_rows(flat.rows(), {nullptr, 0, 3}, 1).empty());
  CHECK(nearest_rows(flat.rows(), flat.rows(), 0).empty());
}

TEST_CASE("every way to screen passes what whole sums pass") {
  for (const auto& way : screens())
    for (const std::size_t fours : {1, 2, 75, 8192}) {
      INFO("keys are " << way.zero << " larger, " << fours << " times four dimensions");
      RandomStream stream(7);
      const bool all_largest = fours == 8192;
      std::vector<std::uint8_t> keys(fours * 4 * kScreenKeys);
      std::vector<std::int8_t> queries(fours * 4 * kScreenQueries);
      for (auto& one : keys)
        one = static_cast<std::uint8_t>(all_largest ? 2 * way.zero - 1 : stream.below(2 * way.zero));
      for (auto& one : queries) one = static_cast<std::int8_t>(all_largest ? -127 : stream.below(255) - 127);
      std::vector<std::int32_t> start(kScreenKeys), floor(kScreenQueries), wanted(kScreenKeys * kScreenQueries);
      for (std::size_t j = 0; j < kScreenKeys; ++j) start[j] = static_cast<std::int32_t>(100 * j) - 1'000'000'000;
      for (std::size_t q = 0; q < kScreenQueries; ++q)
        for (std::size_t j = 0; j < kScreenKeys; ++j) {
          std::int64_t sum = start[j];
          for (std::size_t d = 0; d < 4 * fours; ++d)
            sum += keys[(d / 4 * kScreenKeys + j) * 4 + d % 4] * queries[(d / 4 * kScreenQueries + q) * 4 + d % 4];
          REQUIRE(std::abs(sum) <= std::numeric_limits<std::int32_t>::max());
          wanted[q * kScreenKeys + j] = static_cast<std::int32_t>(sum);
        }
      for (std::size_t q = 0; q < kScreenQueries; ++q)
        floor[q] = wanted[q * kScreenKeys + q] - static_cast<int>(q % 2);
      std::uint32_t mask[kScreenQueries];
      std::int32_t sums[kScreenKeys * kScreenQueries];
      way.run(keys.data(), queries.data(), fours, start.data(), floor.data(), mask, sums);
      for (std::size_t q = 0; q < kScreenQueries; ++q)
        for (std::size_t j = 0; j < kScreenKeys; ++j) {
          REQUIRE(sums[q * kScreenKeys + j] == wanted[q * kScreenKeys + j]);
          REQUIRE((mask[q] >> j & 1) == (wanted[q * kScreenKeys + j] > floor[q] ? 1 : 0));
        }
    }
}

}  // namespace nearest_test
