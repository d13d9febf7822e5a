#include "parzen.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace xp::searches {
namespace {

/// The larger distance of each to its neighbours: the ends of the range where there is one alone.
std::vector<double> widths_of(const std::vector<double>& seen, double narrowest) {
  if (seen.size() == 1) return {std::max({seen[0], 1 - seen[0], narrowest})};
  std::vector<std::size_t> order(seen.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return seen[a] < seen[b]; });
  std::vector<double> out(seen.size(), narrowest);
  for (std::size_t i = 1; i < order.size(); ++i) {
    const double gap = seen[order[i]] - seen[order[i - 1]];
    for (const auto one : {order[i - 1], order[i]}) out[one] = std::max(out[one], gap);
  }
  return out;
}

}  // namespace

Parzen::Normal::Normal(double at, double wide) : centre(at), width(wide) {
  const double scale = 1 / (width * std::numbers::sqrt2);
  const double inside = 0.5 * (std::erf((1 - centre) * scale) + std::erf(centre * scale));
  height = 1 / (width * inside * std::sqrt(2 * std::numbers::pi));
}

Parzen::Parzen(const std::vector<Point>& seen, const std::vector<std::size_t>& rows)
    : rows_(rows), kernels_(seen.size() + 1) {
  const double narrowest = 1 / std::min(100.0, 1.0 + static_cast<double>(kernels_));
  for (std::size_t d = 0; d < rows.size(); ++d) {
    std::vector<std::size_t> asked;
    std::vector<double> places;
    for (std::size_t k = 0; k < seen.size(); ++k)
      if (!std::isnan(seen[k][d])) asked.push_back(k), places.push_back(seen[k][d]);
    row_.emplace_back(kernels_, std::nan(""));
    normal_.emplace_back(kernels_);
    const auto widths = widths_of(places, narrowest);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      row_[d][asked[i]] = places[i];
      normal_[d][asked[i]] = Normal(places[i], widths[i]);
    }
  }
}

// One trial of `seen` and another that is spread over all kernels and rows.
double Parzen::share(double seen, std::size_t dimension, double row) const {
  const auto rows = static_cast<double>(rows_[dimension]);
  if (std::isnan(seen)) return 1 / rows;
  const auto kernels = static_cast<double>(kernels_);
  return ((seen == row ? 1 : 0) + 1 / kernels) / (1 + rows / kernels);
}

double Parzen::density(std::size_t kernel, std::size_t dimension, double at) const {
  if (rows_[dimension] > 0) return share(row_[dimension][kernel], dimension, at);
  const auto& normal = normal_[dimension][kernel];
  const double z = (at - normal.centre) / normal.width;
  return normal.height * std::exp(-0.5 * z * z);
}

Point Parzen::draw(RandomStream& random) const {
  const auto kernel = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(kernels_)));
  Point out;
  for (std::size_t d = 0; d < rows_.size(); ++d) {
    if (rows_[d] > 0) {
      double left = random.uniform();
      std::size_t row = 0;
      while (row + 1 < rows_[d] && (left -= share(row_[d][kernel], d, static_cast<double>(row))) > 0) ++row;
      out.push_back(static_cast<double>(row));
      continue;
    }
    const auto& normal_here = normal_[d][kernel];
    double x = -1;  // a third at least is inside, since the centre is and no width is above 1
    while (x < 0 || x > 1) x = normal_here.centre + normal_here.width * normal(random);
    out.push_back(x);
  }
  return out;
}

double Parzen::log_density(const Point& point) const {
  double sum = 0;
  for (std::size_t k = 0; k < kernels_; ++k) {
    double product = 1;
    for (std::size_t d = 0; d < rows_.size(); ++d)
      if (!std::isnan(point[d])) product *= density(k, d, point[d]);
    sum += product;
  }
  return std::log(sum / static_cast<double>(kernels_));
}

}  // namespace xp::searches
