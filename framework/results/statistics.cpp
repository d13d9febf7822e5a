#include "results/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace xp {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool finite(Numbers x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
}

// Sums that should be equal differ by rounding; a pattern that ties with the observed one must count.
double tolerance(Numbers x) {
  double size = 0;
  for (const double v : x) size += std::abs(v);
  return 1e-12 * size;
}

std::vector<double> signed_sums(Numbers x) {
  std::vector<double> sums{0};
  for (const double v : x) {
    const auto n = sums.size();
    sums.resize(2 * n);
    for (std::size_t i = 0; i < n; ++i) sums[n + i] = sums[i] - v, sums[i] += v;
  }
  return sums;
}

// Patterns of the two halves are counted against each other: 2^(n/2) sums in place of 2^n.
double exact_flips(Numbers x) {
  const double observed = std::accumulate(x.begin(), x.end(), 0.0) - tolerance(x);
  const auto left = signed_sums(x.first(x.size() / 2));
  auto right = signed_sums(x.subspan(x.size() / 2));
  std::sort(right.begin(), right.end());
  double reached = 0;
  for (const double sum : left)
    reached += static_cast<double>(right.end() - std::lower_bound(right.begin(), right.end(), observed - sum));
  return reached / std::ldexp(1.0, static_cast<int>(x.size()));
}

double drawn_flips(Numbers x, std::uint64_t seed) {
  const double observed = std::accumulate(x.begin(), x.end(), 0.0) - tolerance(x);
  auto random = RandomStreams(seed, "sign_flip").stream();
  std::int64_t reached = 1;
  for (std::int64_t draw = 0; draw < kFlips; ++draw) {
    double sum = 0;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < x.size(); ++i, bits >>= 1) {
      if (i % 64 == 0) bits = random.next();
      sum += bits & 1 ? -x[i] : x[i];
    }
    reached += sum >= observed;
  }
  return static_cast<double>(reached) / static_cast<double>(kFlips + 1);
}

// Mean ranks from 1 on, times 2 so that those of ties are whole.
std::vector<std::int64_t> doubled_ranks(Numbers x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] < x[b]; });
  std::vector<std::int64_t> ranks(x.size());
  for (std::size_t first = 0; first < order.size();) {
    auto last = first;
    while (last < order.size() && x[order[last]] == x[order[first]]) ++last;
    for (auto i = first; i < last; ++i) ranks[order[i]] = static_cast<std::int64_t>(first + 1 + last);
    first = last;
  }
  return ranks;
}

// The share of sign patterns whose positive ranks sum to at least `observed` (all doubled).
double exact_ranks(const std::vector<std::int64_t>& ranks, std::int64_t observed) {
  std::vector<double> ways(static_cast<std::size_t>(std::accumulate(ranks.begin(), ranks.end(), std::int64_t{0})) +
                           1);
  ways[0] = 1;
  std::size_t top = 0;
  for (const auto rank : ranks) {
    const auto step = static_cast<std::size_t>(rank);
    top += step;
    for (auto sum = top; sum >= step; --sum) ways[sum] += ways[sum - step];
  }
  const double reached = std::accumulate(ways.begin() + observed, ways.end(), 0.0);
  return reached / std::ldexp(1.0, static_cast<int>(ranks.size()));
}

double normal_ranks(const std::vector<std::int64_t>& ranks, std::int64_t observed) {
  double mean = 0, variance = 0;  // each rank is there with probability 1/2, which corrects for ties by itself
  for (const auto rank : ranks) {
    const double r = static_cast<double>(rank) / 2;
    mean += r / 2, variance += r * r / 4;
  }
  const double z = (static_cast<double>(observed) / 2 - mean - 0.5) / std::sqrt(variance);
  return boost::math::cdf(boost::math::complement(boost::math::normal(), z));
}

double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

}  // namespace

double mean_of(Numbers x) {
  if (x.empty()) return kNaN;
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

double sd_of(Numbers x) {
  if (x.size() < 2) return kNaN;
  if (std::all_of(x.begin(), x.end(), [&](double v) { return v == x.front(); })) return 0;
  const double mean = mean_of(x);
  double sum = 0;
  for (const double v : x) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(x.size() - 1));
}

Interval t_interval(Numbers x, double confidence) {
  if (x.size() < 2 || !finite(x)) return {kNaN, kNaN};
  const boost::math::students_t t(static_cast<double>(x.size() - 1));
  const double half = boost::math::quantile(boost::math::complement(t, (1 - confidence) / 2)) * sd_of(x) /
                      std::sqrt(static_cast<double>(x.size()));
  return {mean_of(x) - half, mean_of(x) + half};
}

double sign_flip(Numbers differences, std::uint64_t seed) {
  if (!finite(differences)) return kNaN;
  return differences.size() <= kMostExactFlips ? exact_flips(differences) : drawn_flips(differences, seed);
}

double sign_flip_two_sided(Numbers differences) {
  std::vector<double> turned(differences.begin(), differences.end());
  for (auto& one : turned) one = -one;
  return std::min(1.0, 2 * std::min(sign_flip(differences), sign_flip(turned)));
}

double paired_t(Numbers differences) {
  if (differences.size() < 2 || !finite(differences)) return kNaN;
  const double sd = sd_of(differences);
  if (sd == 0) return kNaN;
  const double t = mean_of(differences) / (sd / std::sqrt(static_cast<double>(differences.size())));
  const boost::math::students_t distribution(static_cast<double>(differences.size() - 1));
  return boost::math::cdf(boost::math::complement(distribution, t));
}

double wilcoxon(Numbers differences) {
  if (!finite(differences)) return kNaN;
  std::vector<double> sizes, kept;
  for (const double d : differences)
    if (d != 0) kept.push_back(d), sizes.push_back(std::abs(d));
  if (kept.empty()) return 1;
  const auto ranks = doubled_ranks(sizes);
  std::int64_t observed = 0;
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (kept[i] > 0) observed += ranks[i];
  return kept.size() <= kMostExactRanks ? exact_ranks(ranks, observed) : normal_ranks(ranks, observed);
}

Bootstrap paired_bootstrap(Numbers differences, std::uint64_t seed, double confidence) {
  if (differences.empty() || !finite(differences)) return {kNaN, {kNaN, kNaN}};
  const auto n = static_cast<std::int64_t>(differences.size());
  const double mean = mean_of(differences);
  // A resample ties with the observed mean only up to rounding.
  const double reach = 2 * mean - tolerance(differences) / static_cast<double>(n);
  const RandomStreams streams(seed, "paired_bootstrap");
  std::vector<double> means;
  std::int64_t reached = 1;
  for (std::int64_t draw = 0; draw < kResamples; ++draw) {
    auto random = streams.stream(0, static_cast<std::uint64_t>(draw));
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += differences[static_cast<std::size_t>(random.below(n))];
    means.push_back(sum / static_cast<double>(n));
    reached += means.back() >= reach;
  }
  std::sort(means.begin(), means.end());
  const double tail = (1 - confidence) / 2;
  return {static_cast<double>(reached) / static_cast<double>(kResamples + 1),
          {percentile(means, tail), percentile(means, 1 - tail)}};
}

double mcnemar(std::int64_t arm_only, std::int64_t baseline_only) {
  if (arm_only < 0 || baseline_only < 0) throw Error("numbers of items cannot be negative");
  if (arm_only == 0) return 1;
  const boost::math::binomial coin(static_cast<double>(arm_only + baseline_only), 0.5);
  return boost::math::cdf(boost::math::complement(coin, static_cast<double>(arm_only - 1)));
}

std::vector<double> holm(Numbers p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] < p[b]; });
  std::vector<double> out(p.size());
  double most = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    most = std::max(most, std::min(1.0, p[order[i]] * static_cast<double>(p.size() - i)));
    out[order[i]] = most;
  }
  return out;
}

double smallest_p(std::string_view test, std::size_t n) {
  if (n == 0) return 1;
  const double exact = std::ldexp(1.0, -static_cast<int>(std::min<std::size_t>(n, 1000)));
  if (test == "sign_flip") return n <= kMostExactFlips ? exact : 1 / static_cast<double>(kFlips + 1);
  if (test == "wilcoxon" || test == "mcnemar") return exact;
  if (test == "paired_bootstrap") return n < 2 ? 1 : 1 / static_cast<double>(kResamples + 1);
  if (test == "paired_t") return n < 2 ? 1 : 0;
  if (test == "exact") return 0;
  throw Error("there is no test " + backquoted(test), Exit::usage);
}

std::size_t pairs_needed(double difference, double sd, double alpha, std::string_view test) {
  if (!(difference > 0) || !std::isfinite(difference) || !std::isfinite(sd)) return 0;
  constexpr double kPower = 0.8;
  const boost::math::normal normal;
  const double z_alpha = boost::math::quantile(boost::math::complement(normal, alpha));
  const double z = z_alpha + boost::math::quantile(normal, kPower);
  const double share = sd / difference;
  const double rule = std::ceil(z * z * share * share + z_alpha * z_alpha / 2);
  constexpr double kMost = 1e9;
  auto n = static_cast<std::size_t>(std::clamp(rule, 1.0, kMost));
  while (smallest_p(test, n) > alpha && static_cast<double>(n) < kMost) ++n;
  return n;
}

double pearson(Numbers x, Numbers y) {
  if (x.size() != y.size()) throw Error("a correlation needs as many x as y");
  if (x.size() < 2) return kNaN;
  const double mx = mean_of(x), my = mean_of(y);
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my), xy += (x[i] - mx) * (y[i] - my);
  return xx > 0 && yy > 0 ? std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0) : kNaN;
}

double spearman(Numbers x, Numbers y) {
  if (!finite(x) || !finite(y)) return kNaN;
  const auto rx = doubled_ranks(x), ry = doubled_ranks(y);
  return pearson(std::vector<double>(rx.begin(), rx.end()), std::vector<double>(ry.begin(), ry.end()));
}

double slope_of(Numbers x, Numbers y) {
  if (x.size() != y.size()) throw Error("a slope needs as many x as y");
  if (x.size() < 2) return kNaN;
  const double mx = mean_of(x), my = mean_of(y);
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
  return xx > 0 ? xy / xx : kNaN;
}

}  // namespace xp
