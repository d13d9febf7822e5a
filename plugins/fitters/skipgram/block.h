#pragma once
// A stretch of text whose words are trained on rows of its own, apart from all other blocks.
#include <cmath>
#include <vector>

#include "corpus.h"
#include "kernels.h"

namespace xp::skipgram {

/// Centres that share drawn words, and how many are drawn for them.
constexpr std::size_t kCentres = 16, kDrawn = 32;

/// What a step is multiplied by if `pairs` other steps of the same row were taken without knowing of it: many small
/// steps that see each other stop where the loss is least, while their blind sum would go beyond it. Few are left
/// alone.
inline float damped(float pairs, float rate) { return 1.0F / std::hypot(1.0F, 0.1F * rate * pairs); }

/// Words [begin, end) of a text: no pair of words crosses the border of a piece.
struct Piece {
  std::int32_t text = 0, begin = 0, end = 0;
};

/// A word, and where the output words that it predicts stand in Block::positives.
struct Centre {
  std::int32_t word = 0;  ///< index into Block::words
  std::uint32_t first = 0, count = 0;
};

/// Words drawn against the neighbours of kCentres centres.
struct Negatives {
  std::size_t distinct = 0;         ///< how many differ; what stands behind them is not used
  std::int32_t words[kDrawn] = {};  ///< indices into Block::outputs
  float times[kDrawn] = {};         ///< how often each was drawn
};

struct Block {
  float rate = 0;
  std::vector<std::int32_t> words, outputs;     ///< distinct words: centres, and those that are predicted or drawn
  std::vector<float> word_pairs, output_pairs;  ///< how many pairs move each of them
  std::vector<std::int32_t> positives;          ///< indices into outputs
  std::vector<Centre> centres;
  std::vector<Negatives> negatives;   ///< one for each kCentres centres
  std::vector<std::int32_t> places;   ///< of `words` among those of the round
  std::vector<float> hidden, output;  ///< rows of `words` and `outputs`

  void clear();
};

/// Fills blocks with what is to be trained; one a thread, for it remembers where words stand in the block.
class Planner {
 public:
  /// What is given must outlive the planner.
  Planner(const Settings& settings, const Corpus& corpus);

  /// Adds the pairs of a piece. `stream` is the piece's own.
  void add(Block& block, const Piece& piece, RandomStream stream);
  /// Draws negatives and counts pairs; the last step of a block. `stream` is the block's own.
  void finish(Block& block, RandomStream stream);

 private:
  void centre(Block& block, const Piece& piece, std::size_t at, RandomStream& stream);
  void translations(Block& block, const Text& text, double place, RandomStream& stream);
  void predict(Block& block, std::int32_t word) {
    block.positives.push_back(slot(output_slots_, block.outputs, word));
  }
  void count_pairs(Block& block) const;
  static std::int32_t slot(std::vector<std::int32_t>& slots, std::vector<std::int32_t>& taken, std::int32_t word);

  const Settings& p_;
  const Corpus& corpus_;
  std::vector<std::int32_t> word_slots_, output_slots_;  ///< by word; -1: not in this block
  std::vector<std::int32_t> line_;                       ///< words of the piece that were kept
};

/// Trains the rows of blocks; one a thread.
class Steps {
 public:
  /// Rows have `width` numbers, a multiple of kLanes.
  Steps(const Settings& settings, std::size_t width);

  void run(Block& block);

 private:
  void group(Block& block, std::size_t number);
  void push(Block& block, std::size_t first, std::size_t count, const Negatives& drawn);
  void pull(Block& block, const Centre& centre, float* gradient);
  void weigh(const Block& block, const Centre& centre, const Negatives& drawn, float* weights) const;

  float negatives_;
  std::size_t width_;
  std::vector<float> gradient_;        ///< of kCentres hidden rows
  std::vector<float> moves_;           ///< of kDrawn output rows
  std::vector<float> nothing_;         ///< a row that stands where there is none
  std::vector<std::int32_t> columns_;  ///< by output of the block: where it stands among the group's negatives, or -1
  std::vector<float> together_;        ///< by word of the block: its pairs in the group
};

}  // namespace xp::skipgram
