#include "ranks.h"

#include <algorithm>
#include <limits>

namespace xp::ranking {
namespace {

double discounted(const std::vector<double>& gains, std::size_t most) {
  double sum = 0;
  for (std::size_t r = 0; r < std::min(most, gains.size()); ++r)
    sum += gains[r] / std::log2(static_cast<double>(r) + 2);
  return sum;
}

}  // namespace

Measured measured(std::vector<Candidate> candidates, std::vector<double> gains) {
  for (auto& one : candidates)
    if (std::isnan(one.score)) one.score = (one.gain > 0 ? -1 : 1) * std::numeric_limits<double>::infinity();
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(-a.score, a.gain) < std::pair(-b.score, b.gain);
  });
  std::sort(gains.begin(), gains.end(), std::greater<>());
  std::vector<double> seen;
  for (const auto& one : candidates) seen.push_back(one.gain);
  const auto relevant_in = [&](std::size_t most) {
    return static_cast<double>(std::count_if(seen.begin(),
                                             seen.begin() + static_cast<std::ptrdiff_t>(std::min(most, seen.size())),
                                             [](double gain) { return gain > 0; }));
  };
  const auto first = std::find_if(seen.begin(), seen.end(), [](double gain) { return gain > 0; }) - seen.begin() + 1;
  const auto all = static_cast<double>(gains.size());
  return {relevant_in(1) / all, relevant_in(10) / all, relevant_in(100) / all,
          relevant_in(10) > 0 ? 1.0 / static_cast<double>(first) : 0, discounted(seen, 10) / discounted(gains, 10)};
}

void Measures::add(const std::string& query, const Measured& one, Recorder& recorder) {
  for (std::size_t m = 0; m < one.size(); ++m) {
    recorder.item("queries", query, prefix_ + kMeasures[m].first, one[m]);
    sums_[m] += one[m];
  }
  ++queries_;
}

void Measures::record(const std::string& data, Recorder& recorder) const {
  for (std::size_t m = 0; m < sums_.size(); ++m)
    recorder.metric(prefix_ + kMeasures[m].first, sums_[m] / queries_, {kMeasures[m].second, {}, data, "1"});
}

}  // namespace xp::ranking
