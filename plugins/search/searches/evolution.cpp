#include "evolution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "axes.h"
#include "eigen.h"

namespace xp::searches {
namespace {

double mirrored(double x) {
  x = std::fmod(std::abs(x), 2.0);
  return x > 1 ? 2 - x : x;
}

double squares(const std::vector<double>& v) { return std::inner_product(v.begin(), v.end(), v.begin(), 0.0); }

}  // namespace

Evolution::Evolution(std::size_t n, std::size_t population, double sigma)
    : n_(n),
      sigma_(sigma),
      mean_(n, 0.5),
      path_(n),
      sigma_path_(n),
      covariance_(n * n),
      axes_(n * n),
      lengths_(n, 1) {
  for (std::size_t i = 0; i < n; ++i) covariance_[i * n + i] = axes_[i * n + i] = 1;
  const auto size = static_cast<double>(n);
  longest_ = std::sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size * size));
  set_weights(population);
  set_rates();
}

// Equation 49: logarithms of ranks, the positive ones with the sum 1.
void Evolution::set_weights(std::size_t population) {
  parents_ = population / 2;
  for (std::size_t i = 0; i < population; ++i)
    weights_.push_back(std::log((static_cast<double>(population) + 1) / 2) - std::log(static_cast<double>(i) + 1));
  const auto middle = weights_.begin() + static_cast<std::ptrdiff_t>(parents_);
  const double sum = std::accumulate(weights_.begin(), middle, 0.0);
  std::for_each(weights_.begin(), middle, [&](double& weight) { weight /= sum; });
  mass_ = 1 / std::inner_product(weights_.begin(), middle, weights_.begin(), 0.0);
}

// Equations 55 to 58.
void Evolution::set_rates() {
  const auto n = static_cast<double>(n_);
  rate_sigma_ = (mass_ + 2) / (n + mass_ + 5);
  damping_ = 1 + 2 * std::max(0.0, std::sqrt((mass_ - 1) / (n + 1)) - 1) + rate_sigma_;
  rate_path_ = (4 + mass_ / n) / (n + 4 + 2 * mass_ / n);
  rate_one_ = 2 / ((n + 1.3) * (n + 1.3) + mass_);
  rate_mu_ = std::min(1 - rate_one_, 2 * (0.25 + mass_ + 1 / mass_ - 2) / ((n + 2) * (n + 2) + mass_));
  // Equations 50 to 53: how much the negative weights may take away.
  double sum = 0, sum_of_squares = 0;
  for (std::size_t i = parents_; i < weights_.size(); ++i)
    sum -= weights_[i], sum_of_squares += weights_[i] * weights_[i];
  if (sum <= 0) return;
  const double negative_mass = sum * sum / sum_of_squares;
  const double most = std::min(
      {1 + rate_one_ / rate_mu_, 1 + 2 * negative_mass / (mass_ + 2), (1 - rate_one_ - rate_mu_) / (n * rate_mu_)});
  for (std::size_t i = parents_; i < weights_.size(); ++i) weights_[i] *= most / sum;
}

std::vector<double> Evolution::sample(RandomStream random) const {
  std::vector<double> out = mean_;
  for (std::size_t k = 0; k < n_; ++k) {
    const double step = sigma_ * lengths_[k] * normal(random);
    for (std::size_t i = 0; i < n_; ++i) out[i] += step * axes_[i * n_ + k];
  }
  for (double& x : out) x = mirrored(x);
  return out;
}

std::vector<double> Evolution::whitened(const std::vector<double>& step) const {
  std::vector<double> out(n_);
  for (std::size_t k = 0; k < n_; ++k) {
    double along = 0;
    for (std::size_t i = 0; i < n_; ++i) along += axes_[i * n_ + k] * step[i];
    for (std::size_t i = 0; i < n_; ++i) out[i] += axes_[i * n_ + k] * along / lengths_[k];
  }
  return out;
}

void Evolution::update(const std::vector<std::vector<double>>& ranked) {
  auto steps = ranked;
  std::vector<double> mean_step(n_);
  for (std::size_t r = 0; r < steps.size(); ++r)
    for (std::size_t i = 0; i < n_; ++i) {
      steps[r][i] = (steps[r][i] - mean_[i]) / sigma_;
      if (r < parents_) mean_step[i] += weights_[r] * steps[r][i];
    }
  const auto white = whitened(mean_step);
  ++generation_;
  for (std::size_t i = 0; i < n_; ++i) {
    mean_[i] += sigma_ * mean_step[i];
    sigma_path_[i] =
        (1 - rate_sigma_) * sigma_path_[i] + std::sqrt(rate_sigma_ * (2 - rate_sigma_) * mass_) * white[i];
  }
  const double length = std::sqrt(squares(sigma_path_));
  const double begun = 1 - std::pow(1 - rate_sigma_, 2 * generation_);
  const bool is_short = length / std::sqrt(begun) < (1.4 + 2 / (static_cast<double>(n_) + 1)) * longest_;
  for (std::size_t i = 0; i < n_; ++i)
    path_[i] = (1 - rate_path_) * path_[i] +
               (is_short ? std::sqrt(rate_path_ * (2 - rate_path_) * mass_) * mean_step[i] : 0.0);
  move_covariance(steps, is_short);
  sigma_ *= std::exp(rate_sigma_ / damping_ * (length / longest_ - 1));
}

void Evolution::move_covariance(const std::vector<std::vector<double>>& steps, bool is_short) {
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  const double lost = is_short ? 0 : rate_path_ * (2 - rate_path_);
  const double kept = 1 + rate_one_ * lost - rate_one_ - rate_mu_ * sum;
  for (double& one : covariance_) one *= kept;
  const auto add = [&](const std::vector<double>& v, double weight) {
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < n_; ++j) covariance_[i * n_ + j] += weight * v[i] * v[j];
  };
  add(path_, rate_one_);
  for (std::size_t r = 0; r < steps.size(); ++r) {
    double weight = rate_mu_ * weights_[r];
    if (weight < 0) weight *= static_cast<double>(n_) / std::max(squares(whitened(steps[r])), 1e-12);
    add(steps[r], weight);
  }
  constexpr double kShortest = 1e-20;  // rounding may leave an eigenvalue at or below 0
  auto eigen = symmetric_eigen(covariance_, n_);
  axes_ = std::move(eigen.vectors);
  for (std::size_t i = 0; i < n_; ++i) lengths_[i] = std::sqrt(std::max(eigen.values[i], kShortest));
}

}  // namespace xp::searches
