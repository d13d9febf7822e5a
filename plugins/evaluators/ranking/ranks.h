#pragma once
// What a ranked list is worth.
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "api/recorder.h"

namespace xp::ranking {

/// Measures of one list, with their units.
constexpr std::array<std::pair<const char*, const char*>, 5> kMeasures{{{"recall@1", "share"},
                                                                        {"recall@10", "share"},
                                                                        {"recall@100", "share"},
                                                                        {"mrr@10", "reciprocal rank"},
                                                                        {"ndcg@10", "share"}}};

using Measured = std::array<double, kMeasures.size()>;

struct Candidate {
  double score = 0;  ///< the larger, the earlier; see rounded()
  double gain = 0;   ///< 0: not relevant
};

/// Scores that differ by less than float32 tells apart are equal.
inline double rounded(double score) { return std::round(score * 1e6) / 1e6; }

/// Measures of the candidates in the order of their scores; equal scores and those that are no number count against
/// the model. `gains` are those of all relevant documents, also of those that are no candidates.
/// recall@k = relevant ones among the first k / all relevant ones; mrr@k = 1 / rank of the first relevant one, 0
/// beyond k (Voorhees 1999); ndcg@k = DCG / DCG of the best order (Järvelin and Kekäläinen 2002), DCG = sum over
/// ranks r <= k of gain / log2(1 + r), the discount of Burges et al. 2005.
Measured measured(std::vector<Candidate> candidates, std::vector<double> gains);

/// Sums up queries and records items and means.
class Measures {
 public:
  explicit Measures(std::string prefix = {}) : prefix_(std::move(prefix)) {}
  void add(const std::string& query, const Measured& one, Recorder& recorder);
  void record(const std::string& data, Recorder& recorder) const;

 private:
  std::string prefix_;
  Measured sums_{};
  double queries_ = 0;
};

}  // namespace xp::ranking
