#pragma once
// Rounds of blocks that are trained side by side and joined in order.
#include <atomic>
#include <barrier>
#include <exception>
#include <functional>
#include <mutex>

#include "block.h"

namespace xp::skipgram {

/// Gives the same bytes for any number of threads: all blocks of a round start from the same rows, and what they
/// change is added in the order of the blocks.
class Trainer {
 public:
  /// What is given must outlive the trainer.
  Trainer(const Settings& settings, const Corpus& corpus, const RandomStreams& random);

  void run();
  /// Vectors of all words, `dim` numbers each; an error if one is not finite.
  std::vector<float> vectors() const;

 private:
  struct Range {
    std::size_t begin = 0, end = 0;
  };
  struct Worker;
  /// Pairs of a row in a round: of all who move it, of the one with most, and how many they are.
  struct Load {
    float all = 0, most = 0, movers = 0;
    void add(float pairs);
  };

  void cut();
  void start();
  void work(std::size_t number, std::size_t workers);
  bool round(Worker& worker, std::int64_t epoch, std::size_t first);
  bool together(const std::function<void()>& part);
  void plan(Worker& worker, std::int64_t epoch, std::size_t number, Block& block);
  void join(std::size_t used);
  void weigh();
  void gather(std::size_t place);
  void train(Worker& worker, Block& block);
  void merge(Range columns);
  float share(const Load& load) const;

  const Settings& p_;
  const Corpus& corpus_;
  const RandomStreams& random_;
  std::size_t width_;
  std::vector<float> input_, output_;  ///< rows of Corpus::parts, and of words
  std::vector<Piece> pieces_;
  std::vector<Range> ranges_;                    ///< of pieces, one a block
  std::vector<double> done_;                     ///< share of an epoch that lies before each block
  std::vector<Block> blocks_;                    ///< of the round
  std::size_t used_ = 0;                         ///< how many of them; the others are from an earlier round
  std::vector<std::int32_t> words_;              ///< distinct centres of the round
  std::vector<std::int32_t> places_;             ///< by word; -1: not among words_
  std::vector<float> hidden_, moved_;            ///< rows of words_: before the round, and what the blocks add
  std::vector<Load> word_loads_;                 ///< of words_
  std::vector<Load> output_loads_, part_loads_;  ///< by word and by input row; of use only where the round moves them
  std::barrier<> barrier_;
  std::mutex lock_;
  std::atomic<bool> failed_ = false;
  std::exception_ptr error_;  ///< under lock_
};

}  // namespace xp::skipgram
