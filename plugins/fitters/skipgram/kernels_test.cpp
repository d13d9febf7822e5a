#include "kernels.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace skipgram_kernels_test {

using namespace xp::skipgram;
using Catch::Matchers::WithinAbs;

constexpr std::size_t kWidth = 24;  // one pair of lanes and one alone

std::vector<float> random_rows(std::uint64_t key, std::size_t rows) {
  xp::RandomStream stream(key);
  std::vector<float> out(rows * kWidth);
  for (auto& x : out) x = static_cast<float>(stream.uniform() - 0.5);
  return out;
}

template <class Number>
std::vector<Number*> rows_of(std::vector<float>& table) {
  std::vector<Number*> out;
  for (std::size_t r = 0; r < table.size() / kWidth; ++r) out.push_back(table.data() + r * kWidth);
  return out;
}

/// Sum of weights(i, k) log(1 + exp(<hidden_i, drawn_k>)): the loss of words that do not stand together.
double loss(const std::vector<float>& hidden, const std::vector<float>& drawn, const std::vector<float>& weights) {
  const auto columns = drawn.size() / kWidth;
  double sum = 0;
  for (std::size_t i = 0; i < hidden.size() / kWidth; ++i)
    for (std::size_t k = 0; k < columns; ++k) {
      double score = 0;
      for (std::size_t d = 0; d < kWidth; ++d)
        score += static_cast<double>(hidden[i * kWidth + d]) * static_cast<double>(drawn[k * kWidth + d]);
      sum += static_cast<double>(weights[i * columns + k]) * std::log1p(std::exp(score));
    }
  return sum;
}

double slope(std::vector<float>& of, std::size_t at, const auto& value) {
  const float kept = of[at];
  of[at] = kept + 1e-2F;
  const double above = value();
  of[at] = kept - 1e-2F;
  const double below = value();
  of[at] = kept;
  return (above - below) / 2e-2;
}

TEST_CASE("skip-gram's sigmoid is that of the standard library") {
  for (double x = -45; x <= 45; x += 0.01)
    CHECK_THAT(sigmoid(static_cast<float>(x)), WithinAbs(1 / (1 + std::exp(-x)), 4e-6));
  CHECK(sigmoid(std::numeric_limits<float>::quiet_NaN()) < 1e-6F);
}

TEST_CASE("skip-gram's scores are dot products") {
  auto hidden = random_rows(1, 1), table = random_rows(2, 8);
  float scores[8];
  eight_scores(hidden.data(), rows_of<const float>(table).data(), kWidth, scores);
  for (std::size_t c = 0; c < 8; ++c) {
    double sum = 0;
    for (std::size_t d = 0; d < kWidth; ++d)
      sum += static_cast<double>(hidden[d]) * static_cast<double>(table[c * kWidth + d]);
    CHECK_THAT(scores[c], WithinAbs(sum, 1e-6));
  }
}

TEST_CASE("skip-gram's steps against drawn words follow the loss downhill on both sides") {
  auto hidden = random_rows(3, 4), drawn = random_rows(4, 8);
  std::vector<float> weights(32), scores(32), steps(32);
  xp::RandomStream stream(5);
  for (auto& weight : weights) weight = static_cast<float>(2 * stream.uniform());
  for (std::size_t i = 0; i < 4; ++i)
    eight_scores(hidden.data() + i * kWidth, rows_of<const float>(drawn).data(), kWidth, scores.data() + i * 8);
  constexpr float kRate = 0.5F;
  logistic_steps(scores.data(), weights.data(), 0, kRate, 32, steps.data());
  std::vector<float> gradient(4 * kWidth), moves(8 * kWidth);
  four_sums(gradient.data(), {steps.data(), 8, 1}, rows_of<const float>(drawn).data(), 8, kWidth);
  for (std::size_t k = 0; k < 8; k += 4)
    four_sums(moves.data() + k * kWidth, {steps.data() + k, 1, 8}, rows_of<const float>(hidden).data(), 4, kWidth);
  const auto value = [&] { return loss(hidden, drawn, weights); };
  for (std::size_t at = 0; at < gradient.size(); ++at)
    CHECK_THAT(gradient[at], WithinAbs(-static_cast<double>(kRate) * slope(hidden, at, value), 2e-4));
  for (std::size_t at = 0; at < moves.size(); ++at)
    CHECK_THAT(moves[at], WithinAbs(-static_cast<double>(kRate) * slope(drawn, at, value), 2e-4));
}

TEST_CASE("skip-gram's step towards neighbours moves a row that stands twice by both") {
  std::vector<float> hidden(kWidth, 2), gradient(kWidth, 1), table(3 * kWidth);
  for (std::size_t d = 0; d < kWidth; ++d) table[d] = 1, table[kWidth + d] = 10, table[2 * kWidth + d] = 0;
  float* rows[4] = {table.data(), table.data() + kWidth, table.data(), table.data() + 2 * kWidth};
  const float steps[4] = {0.5F, 0.25F, 1, 0};
  move_four(gradient.data(), rows, hidden.data(), steps, kWidth);
  for (std::size_t d = 0; d < kWidth; ++d) {
    CHECK(table[d] == 1 + 0.5F * 2 + 1 * 2);
    CHECK(table[kWidth + d] == 10 + 0.25F * 2);
    CHECK(table[2 * kWidth + d] == 0);
    CHECK(gradient[d] == 1 + 0.5F * 1 + 0.25F * 10 + 1 * 2);  // the second time the row has moved by 0.5 * 2
  }
}

}  // namespace skipgram_kernels_test
