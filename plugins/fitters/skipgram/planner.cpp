#include <algorithm>

#include "block.h"

namespace xp::skipgram {

void Block::clear() { words.clear(), outputs.clear(), positives.clear(), centres.clear(), negatives.clear(); }

Planner::Planner(const Settings& settings, const Corpus& corpus)
    : p_(settings), corpus_(corpus), word_slots_(corpus.words.size(), -1), output_slots_(corpus.words.size(), -1) {}

std::int32_t Planner::slot(std::vector<std::int32_t>& slots, std::vector<std::int32_t>& taken, std::int32_t word) {
  auto& at = slots[static_cast<std::size_t>(word)];
  if (at < 0) at = static_cast<std::int32_t>(taken.size()), taken.push_back(word);
  return at;
}

void Planner::add(Block& block, const Piece& piece, RandomStream stream) {
  const auto& words = corpus_.texts[static_cast<std::size_t>(piece.text)].words;
  line_.clear();
  for (auto at = piece.begin; at < piece.end; ++at) {
    const auto word = words[static_cast<std::size_t>(at)];
    const float keep = corpus_.keep[static_cast<std::size_t>(word)];
    if (keep >= 1 || stream.uniform() < static_cast<double>(keep)) line_.push_back(word);
  }
  for (std::size_t i = 0; i < line_.size(); ++i) centre(block, piece, i, stream);
}

void Planner::centre(Block& block, const Piece& piece, std::size_t at, RandomStream& stream) {
  const auto first = block.positives.size();
  const auto reach = static_cast<std::size_t>(1 + stream.below(p_.window));
  for (std::size_t j = at > reach ? at - reach : 0; j < std::min(line_.size(), at + reach + 1); ++j)
    if (j != at) predict(block, line_[j]);
  const auto& text = corpus_.texts[static_cast<std::size_t>(piece.text)];
  if (text.group >= 0 && p_.parallel > 0) {
    const double within = static_cast<double>(at) / static_cast<double>(line_.size()) * (piece.end - piece.begin);
    translations(block, text, (piece.begin + within) / static_cast<double>(text.words.size()), stream);
  }
  if (block.positives.size() == first) return;
  block.centres.push_back({slot(word_slots_, block.words, line_[at]), static_cast<std::uint32_t>(first),
                           static_cast<std::uint32_t>(block.positives.size() - first)});
}

void Planner::translations(Block& block, const Text& text, double place, RandomStream& stream) {
  const auto& others = corpus_.groups[static_cast<std::size_t>(text.group)];
  for (std::int64_t n = 0; n < p_.parallel; ++n) {
    const auto& other =
        corpus_.texts[static_cast<std::size_t>(others[static_cast<std::size_t>(stream.below(std::ssize(others)))])];
    if (other.language == text.language || other.words.empty()) continue;
    const auto middle = static_cast<std::int64_t>(place * static_cast<double>(other.words.size()));
    const auto at = std::clamp<std::int64_t>(middle + stream.below(2 * p_.parallel_window + 1) - p_.parallel_window,
                                             0, std::ssize(other.words) - 1);
    predict(block, other.words[static_cast<std::size_t>(at)]);
  }
}

void Planner::finish(Block& block, RandomStream stream) {
  for (std::size_t c = 0; c < block.centres.size(); c += kCentres) {
    auto& drawn = block.negatives.emplace_back();
    for (std::size_t k = 0; k < kDrawn; ++k) {
      const auto word = slot(output_slots_, block.outputs, corpus_.drawn(stream));
      const auto at =
          static_cast<std::size_t>(std::find(drawn.words, drawn.words + drawn.distinct, word) - drawn.words);
      if (at == drawn.distinct) drawn.words[drawn.distinct++] = word;
      drawn.times[at] += 1;
    }
  }
  for (const auto word : block.words) word_slots_[static_cast<std::size_t>(word)] = -1;
  for (const auto word : block.outputs) output_slots_[static_cast<std::size_t>(word)] = -1;
  count_pairs(block);
}

void Planner::count_pairs(Block& block) const {
  block.word_pairs.assign(block.words.size(), 0), block.output_pairs.assign(block.outputs.size(), 0);
  const auto negatives = static_cast<float>(p_.negatives);
  for (std::size_t g = 0; g < block.negatives.size(); ++g) {
    float positives = 0;
    for (std::size_t c = g * kCentres; c < std::min(block.centres.size(), (g + 1) * kCentres); ++c) {
      const auto count = static_cast<float>(block.centres[c].count);
      block.word_pairs[static_cast<std::size_t>(block.centres[c].word)] += count * (1 + negatives);
      positives += count;
    }
    const auto& drawn = block.negatives[g];
    for (std::size_t k = 0; k < drawn.distinct; ++k)
      block.output_pairs[static_cast<std::size_t>(drawn.words[k])] +=
          positives * negatives * drawn.times[k] / static_cast<float>(kDrawn);
  }
  for (const auto output : block.positives) block.output_pairs[static_cast<std::size_t>(output)] += 1;
}

}  // namespace xp::skipgram
