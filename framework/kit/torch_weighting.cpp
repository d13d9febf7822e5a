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

Scores sparsemax(const Scores& scores) {
  double sum = 0, threshold = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    sum += scores[i];
    if (1 + static_cast<double>(i + 1) * scores[i] <= sum) break;
    threshold = (sum - 1) / static_cast<double>(i + 1);
  }
  Scores out;
  for (const double score : scores) out.push_back(std::max(score - threshold, 0.0));
  return out;
}

Scores entmax15(const Scores& scores) {
  double sum = 0, squares = 0, threshold = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double half = (scores[i] - scores.front()) / 2, n = static_cast<double>(i + 1);
    sum += half, squares += half * half;
    const double mean = sum / n, rest = (1 - (squares - n * mean * mean)) / n;
    if (rest < 0 || mean - std::sqrt(rest) > half) break;
    threshold = mean - std::sqrt(rest);
  }
  Scores out;
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
  const bool sparse = weighting != Weighting::softmax;
  auto look_at = neighbours > 0 ? std::min(neighbours, all) : sparse ? std::min<std::int64_t>(64, all) : all;
  std::vector<std::vector<MixPart>> out(rows.size());
  std::vector<std::size_t> left(rows.size());
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = i;
  while (!left.empty() && look_at > 0) {
    std::vector<TokenId> ids;
    for (const auto i : left) ids.push_back(rows[i]);
    const auto near = nearest_tokens(of, ids, among, look_at);
    std::vector<std::size_t> again;
    for (std::size_t k = 0; k < left.size(); ++k) {
      auto parts = weigh(near[k], weighting, temperature);
      // A token of weight 0 ends the support: those behind it are no nearer.
      if (neighbours == 0 && look_at < all && std::ssize(parts) == look_at)
        again.push_back(left[k]);
      else
        out[left[k]] = std::move(parts);
    }
    left = std::move(again), look_at = std::min(look_at * 4, all);
  }
  return out;
}

}  // namespace xp
