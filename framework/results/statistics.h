#pragma once
// Statistics over seeds and items. Every test is one-sided: small p means that the differences are above 0.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

using Numbers = std::span<const double>;

/// NaN for no numbers.
XP_API double mean_of(Numbers x);
/// Sample standard deviation, divisor n - 1; NaN below two numbers.
XP_API double sd_of(Numbers x);

struct Interval {
  double low = 0, high = 0;
};
/// Two-sided Student interval of the mean; NaN ends below two numbers.
XP_API Interval t_interval(Numbers x, double confidence = 0.95);

/// Sign-flip permutation test of the mean (Fisher 1935, section 21): the share of the 2^n sign patterns whose sum
/// reaches the observed one. All patterns up to 20 differences, else `kFlips` drawn ones with the observed added to
/// both counts (Phipson and Smyth 2010). 1 for no differences; NaN if one is not finite.
XP_API double sign_flip(Numbers differences, std::uint64_t seed = 0);
/// Twice the smaller of both directions, at most 1: that the mean is not 0.
XP_API double sign_flip_two_sided(Numbers differences);
inline constexpr std::int64_t kFlips = 99999;
inline constexpr std::size_t kMostExactFlips = 20;

/// Paired t test; NaN below two differences, for equal ones (which have no t), and if one is not finite.
XP_API double paired_t(Numbers differences);

/// Wilcoxon's signed rank test, differences of 0 dropped. Up to 25 the distribution given the ranks is exact, with
/// ties too; beyond, normal with tie and continuity correction. 1 if all are 0; NaN if one is not finite.
XP_API double wilcoxon(Numbers differences);
inline constexpr std::size_t kMostExactRanks = 25;

struct Bootstrap {
  double p = 1;       ///< of the recentred means (Efron and Tibshirani 1993, section 16.4), the observed counted in
  Interval interval;  ///< percentiles of the means
};
inline constexpr std::int64_t kResamples = 9999;
/// Paired bootstrap of the mean over items. The same seed gives the same numbers everywhere. NaN if one is not
/// finite.
XP_API Bootstrap paired_bootstrap(Numbers differences, std::uint64_t seed = 0, double confidence = 0.95);

/// McNemar's exact test: of the items that only one of two has right, `arm_only` and `baseline_only`.
XP_API double mcnemar(std::int64_t arm_only, std::int64_t baseline_only);

/// Holm's (1979) adjusted p values, in the order given.
XP_API std::vector<double> holm(Numbers p);

/// The smallest p that a test can give with `n` differences, whatever they are: 1/2^n for an exact sign-flip.
XP_API double smallest_p(std::string_view test, std::size_t n);

/// How many pairs find a true difference with 80 % power: (z_alpha + z_power)^2 (sd / difference)^2, which is 6.2 (sd
/// / difference)^2 at alpha 0.05, plus z_alpha^2 / 2 for the unknown sd (Guenther 1981); never less than the test can
/// do with. 0 if no number would: `difference` <= 0 or not finite.
XP_API std::size_t pairs_needed(double difference, double sd, double alpha, std::string_view test);

/// Pearson's and Spearman's correlation (ties get their mean rank); NaN below two pairs or without spread.
XP_API double pearson(Numbers x, Numbers y);
XP_API double spearman(Numbers x, Numbers y);
/// Slope of the least-squares line of y over x; NaN below two points or without spread in x.
XP_API double slope_of(Numbers x, Numbers y);

}  // namespace xp
