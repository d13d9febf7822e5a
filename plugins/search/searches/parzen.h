#pragma once
#include <vector>

#include "axes.h"

namespace xp::searches {

/// A density over the points of a study: a kernel for each point that was seen and one for what nobody knows, all of
/// equal weight. A kernel is a product over the dimensions: a normal distribution cut to [0, 1] for a range, shares
/// of the rows for a list. Where a point was not asked a dimension, its kernel knows nothing of it.
///
/// Widths after Bergstra et al. 2011 ("Algorithms for Hyper-Parameter Optimization", section 4): the larger distance
/// to a neighbour. Joint kernels, the narrowest width 1 / min(100, 2 + n) of n points and the ends of a range, which
/// are neighbours of a single point alone, as in Optuna 5 (optuna/samplers/_tpe/parzen_estimator.py).
class Parzen {
 public:
  /// Points hold a NaN for a dimension that was not asked. `rows` of each dimension; 0: a range.
  Parzen(const std::vector<Point>& seen, const std::vector<std::size_t>& rows);

  Point draw(RandomStream& random) const;
  /// Of the dimensions that are no NaN.
  double log_density(const Point& point) const;

 private:
  struct Normal {
    explicit Normal(double at = 0.5, double wide = 1);
    double centre, width, height;  ///< of the density at the centre
  };
  double density(std::size_t kernel, std::size_t dimension, double at) const;
  double share(double seen, std::size_t dimension, double row) const;

  std::vector<std::size_t> rows_;
  std::size_t kernels_ = 0;
  std::vector<std::vector<double>> row_;     ///< [dimension][kernel]: the row; NaN: none
  std::vector<std::vector<Normal>> normal_;  ///< [dimension][kernel]
};

}  // namespace xp::searches
