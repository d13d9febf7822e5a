#include <algorithm>
#include <cmath>

#include "block.h"

namespace xp::skipgram {
namespace {

/// The rows of one group.
struct Rows {
  const float* hidden[kCentres] = {};
  const float* drawn[kDrawn] = {};
  float* gradient = nullptr;  ///< kCentres rows
  float* moves = nullptr;     ///< kDrawn rows: by what the drawn words' rows are to move
};

/// Centres against drawn words: the scores of all pairs as a product of matrices, then both sides' gradients.
XP_WIDE void push_apart(const Rows& rows, const float* weights, float rate, std::size_t width) {
  alignas(32) float scores[kCentres * kDrawn], steps[kCentres * kDrawn];
  for (std::size_t i = 0; i < kCentres; ++i)
    for (std::size_t k = 0; k < kDrawn; k += kLanes)
      eight_scores(rows.hidden[i], rows.drawn + k, width, scores + i * kDrawn + k);
  logistic_steps(scores, weights, 0, rate, kCentres * kDrawn, steps);
  for (std::size_t i = 0; i < kCentres; i += 4)
    four_sums(rows.gradient + i * width, {steps + i * kDrawn, kDrawn, 1}, rows.drawn, kDrawn, width);
  for (std::size_t k = 0; k < kDrawn; k += 4)
    four_sums(rows.moves + k * width, {steps + k, 1, kDrawn}, rows.hidden, kCentres, width);
}

/// A centre and up to eight true neighbours; `weights` are 1, or 0 where `rows` stands in for none.
XP_WIDE void pull_together(const float* hidden, float* gradient, float* const* rows, const float* weights, float rate,
                           std::size_t width) {
  alignas(32) float scores[kLanes], steps[kLanes];
  eight_scores(hidden, rows, width, scores);
  logistic_steps(scores, weights, 1, rate, kLanes, steps);
  move_four(gradient, rows, hidden, steps, width);
  if (weights[4] > 0) move_four(gradient, rows + 4, hidden, steps + 4, width);
}

/// to += scale * from, shortened to length 1: at a rate too high for the words, rows grow no faster than by the step.
XP_WIDE void move(float* to, const float* from, float scale, std::size_t n) {
  const float length = scale * std::sqrt(squared_length(from, n));
  add_scaled(to, from, length > 1 ? scale / length : scale, n);
}

float* row(std::vector<float>& table, std::int32_t at, std::size_t width) {
  return table.data() + static_cast<std::size_t>(at) * width;
}

}  // namespace

Steps::Steps(const Settings& settings, std::size_t width)
    : negatives_(static_cast<float>(settings.negatives)),
      width_(width),
      gradient_(kCentres * width),
      moves_(kDrawn * width),
      nothing_(width) {}

void Steps::run(Block& block) {
  columns_.assign(block.outputs.size(), -1), together_.assign(block.words.size(), 0);
  for (std::size_t g = 0; g < block.negatives.size(); ++g) group(block, g);
}

// The centres' rows stand still until the group's end; so do those of drawn words but for their own group's
// neighbours.
void Steps::group(Block& block, std::size_t number) {
  const auto& drawn = block.negatives[number];
  const auto first = number * kCentres, count = std::min(kCentres, block.centres.size() - first);
  const auto pairs = [&](const Centre& centre) { return static_cast<float>(centre.count) * (1 + negatives_); };
  std::fill(gradient_.begin(), gradient_.end(), 0.0F), std::fill(moves_.begin(), moves_.end(), 0.0F);
  push(block, first, count, drawn);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& centre = block.centres[first + i];
    pull(block, centre, gradient_.data() + i * width_);
    together_[static_cast<std::size_t>(centre.word)] += pairs(centre);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto& centre = block.centres[first + i];
    const float others = together_[static_cast<std::size_t>(centre.word)] - pairs(centre);
    move(row(block.hidden, centre.word, width_), gradient_.data() + i * width_, damped(others, block.rate), width_);
  }
  for (std::size_t i = 0; i < count; ++i) together_[static_cast<std::size_t>(block.centres[first + i].word)] = 0;
}

void Steps::push(Block& block, std::size_t first, std::size_t count, const Negatives& drawn) {
  Rows rows{.hidden = {}, .drawn = {}, .gradient = gradient_.data(), .moves = moves_.data()};
  for (std::size_t i = 0; i < kCentres; ++i)
    rows.hidden[i] = i < count ? row(block.hidden, block.centres[first + i].word, width_) : nothing_.data();
  for (std::size_t k = 0; k < kDrawn; ++k)
    rows.drawn[k] = k < drawn.distinct ? row(block.output, drawn.words[k], width_) : nothing_.data();
  for (std::size_t k = 0; k < drawn.distinct; ++k)
    columns_[static_cast<std::size_t>(drawn.words[k])] = static_cast<std::int32_t>(k);
  alignas(32) float weights[kCentres * kDrawn] = {};
  for (std::size_t i = 0; i < count; ++i) weigh(block, block.centres[first + i], drawn, weights + i * kDrawn);
  push_apart(rows, weights, block.rate, width_);
  for (std::size_t k = 0; k < drawn.distinct; ++k) {
    float pairs = 0;
    for (std::size_t i = 0; i < count; ++i) pairs += weights[i * kDrawn + k];
    move(row(block.output, drawn.words[k], width_), moves_.data() + k * width_, damped(pairs, block.rate), width_);
    columns_[static_cast<std::size_t>(drawn.words[k])] = -1;
  }
}

// As if `negatives` words had been drawn for each neighbour, and those that are the neighbour itself left out.
void Steps::weigh(const Block& block, const Centre& centre, const Negatives& drawn, float* weights) const {
  std::fill(weights, weights + kDrawn, static_cast<float>(centre.count));
  for (std::uint32_t n = centre.first; n < centre.first + centre.count; ++n)
    if (const auto column = columns_[static_cast<std::size_t>(block.positives[n])]; column >= 0) weights[column] -= 1;
  for (std::size_t k = 0; k < kDrawn; ++k) weights[k] *= negatives_ / static_cast<float>(kDrawn) * drawn.times[k];
}

void Steps::pull(Block& block, const Centre& centre, float* gradient) {
  const float* hidden = row(block.hidden, centre.word, width_);
  for (std::uint32_t n = 0; n < centre.count; n += kLanes) {
    float* neighbours[kLanes];
    alignas(32) float present[kLanes];
    for (std::uint32_t c = 0; c < kLanes; ++c) {
      const bool there = n + c < centre.count;
      present[c] = there ? 1.0F : 0.0F;
      neighbours[c] = there ? row(block.output, block.positives[centre.first + n + c], width_) : nothing_.data();
    }
    pull_together(hidden, gradient, neighbours, present, block.rate, width_);
  }
}

}  // namespace xp::skipgram
