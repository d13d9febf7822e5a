#pragma once
#include <vector>

#include "base/random.h"

namespace xp::searches {

/// The distribution of CMA-ES over the unit cube: Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772,
/// version 2), with all its default constants (table 1), negative weights among them. Begins in the middle.
class Evolution {
 public:
  Evolution() = default;
  /// n dimensions, `population` samples a generation (at least 2), `sigma` in units of the cube's edge.
  Evolution(std::size_t n, std::size_t population, double sigma);

  /// Equations 38 to 40; what falls outside is mirrored at the border.
  std::vector<double> sample(RandomStream random) const;
  /// Equations 41 to 47, from one generation's samples, the best first.
  void update(const std::vector<std::vector<double>>& ranked);

  const std::vector<double>& mean() const { return mean_; }
  double sigma() const { return sigma_; }

 private:
  void set_weights(std::size_t population);
  void set_rates();
  void move_covariance(const std::vector<std::vector<double>>& steps, bool is_short);
  std::vector<double> whitened(const std::vector<double>& step) const;  ///< C^(-1/2) step

  std::size_t n_ = 0;
  double sigma_ = 0;
  double mass_ = 0, longest_ = 0;  ///< mu_eff; the length to expect of a standard normal vector
  double rate_sigma_ = 0, damping_ = 0, rate_path_ = 0, rate_one_ = 0, rate_mu_ = 0;
  std::vector<double> weights_;  ///< of all ranks
  std::size_t parents_ = 0;      ///< ranks of positive weight
  std::vector<double> mean_, path_, sigma_path_;
  std::vector<double> covariance_, axes_, lengths_;  ///< C = axes x diag(lengths^2) x axes transposed
  int generation_ = 0;
};

}  // namespace xp::searches
