#include "engine/normal_draws.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <vector>

namespace {

// The definition, one number after the other.
std::vector<float> one_by_one(std::size_t n, double mean, double sd, xp::RandomStream random) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; i += 2) {
    const double radius = std::sqrt(-2 * std::log(random.uniform()));
    const double angle = 2 * std::numbers::pi * random.uniform();
    out[i] = static_cast<float>(mean + sd * radius * std::cos(angle));
    if (i + 1 < n) out[i + 1] = static_cast<float>(mean + sd * radius * std::sin(angle));
  }
  return out;
}

std::size_t different_bits(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) n += std::memcmp(&a[i], &b[i], sizeof(float)) != 0;
  return n;
}

}  // namespace

TEST_CASE("Normal draws have the bits of their definition") {
  for (const auto& [mean, sd] : {std::pair{0.0, 0.02}, {1.0, 0.5}, {-3e4, 1e-3}, {0.0, 1.0}, {2e-8, 1e-6}})
    for (const std::size_t n : {1, 2, 8191, 8192, 8193, 500'001}) {
      const xp::RandomStream random(0x1234 + n);
      std::vector<float> got(n);
      xp::fill_normal(got, mean, sd, random);
      INFO(mean << " " << sd << " " << n);
      CHECK(different_bits(got, one_by_one(n, mean, sd, random)) == 0);
    }
}

TEST_CASE("Normal draws have the mean and the standard deviation that were asked for") {
  std::vector<float> x(1'000'000);
  xp::fill_normal(x, 2, 3, xp::RandomStream(7));
  double sum = 0, squares = 0;
  for (const double one : x) sum += one, squares += (one - 2) * (one - 2);
  CHECK(std::abs(sum / 1e6 - 2) < 0.015);
  CHECK(std::abs(std::sqrt(squares / 1e6) - 3) < 0.01);
}
