#include <algorithm>
#include <cmath>

#include "kit/weighting.h"

namespace xp {
namespace {

using Scores = std::vector<double>;  // best first

Scores softmax(const Scores& scores) {
  Scores out;
  double sum = 0;
  for (const double score : scores) out.push_back(std::exp(score - scores.front())), sum += out.back();
  for (double& weight : out) weight /= sum;
  return out;
}

/// Scores above it have a weight. Of a projection of more scores it is no lower.
double sparsemax_threshold(const Scores& scores) {
  double sum = 0, threshold = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    sum += scores[i];
    if (1 + static_cast<double>(i + 1) * scores[i] <= sum) break;
    threshold = (sum - 1) / static_cast<double>(i + 1);
  }
  return threshold;
}

/// The same of halved scores less the best.
double entmax15_threshold(const Scores& scores) {
  double sum = 0, squares = 0, threshold = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double half = (scores[i] - scores.front()) / 2, n = static_cast<double>(i + 1);
    sum += half, squares += half * half;
    const double mean = sum / n, rest = (1 - (squares - n * mean * mean)) / n;
    if (rest < 0 || mean - std::sqrt(rest) > half) break;
    threshold = mean - std::sqrt(rest);
  }
  return threshold;
}

Scores sparsemax(const Scores& scores) {
  Scores out;
  const double threshold = sparsemax_threshold(scores);
  for (const double score : scores) out.push_back(std::max(score - threshold, 0.0));
  return out;
}

Scores entmax15(const Scores& scores) {
  Scores out;
  const double threshold = entmax15_threshold(scores);
  for (const double score : scores)
    out.push_back(std::pow(std::max((score - scores.front()) / 2 - threshold, 0.0), 2));
  return out;
}

}  // namespace

std::vector<MixPart> weigh(const std::vector<Near>& near, Weighting weighting, double temperature) {
  if (near.empty()) return {};
  Scores scores;
  for (const auto& one : near) scores.push_back(one.cosine / temperature);
  const auto weights = weighting == Weighting::softmax     ? softmax(scores)
                       : weighting == Weighting::sparsemax ? sparsemax(scores)
                                                           : entmax15(scores);
  std::vector<MixPart> parts;
  for (std::size_t i = 0; i < near.size(); ++i)
    if (weights[i] > 0) parts.push_back({near[i].token, weights[i]});
  return parts;
}

std::vector<std::vector<MixPart>> weighted_neighbours(const SubwordVectors& of, const std::vector<TokenId>& rows,
                                                      const SubwordVectors& among, std::int64_t neighbours,
                                                      Weighting weighting, double temperature) {
  const auto all = static_cast<std::int64_t>(std::count(among.covered.begin(), among.covered.end(), true));
  const auto least = [&](const std::vector<Neighbour>& best) {
    Scores scores;
    for (const auto& one : best) scores.push_back(one.cosine / temperature);
    return temperature * (weighting == Weighting::sparsemax ? sparsemax_threshold(scores)
                                                            : scores.front() + 2 * entmax15_threshold(scores));
  };
  const bool few = neighbours == 0 && weighting != Weighting::softmax;
  const auto near = few ? supporting_tokens(of, rows, among, least)
                        : nearest_tokens(of, rows, among, neighbours > 0 ? neighbours : all);
  std::vector<std::vector<MixPart>> out;
  out.reserve(near.size());
  for (const auto& one : near) out.push_back(weigh(one, weighting, temperature));
  return out;
}

}  // namespace xp
