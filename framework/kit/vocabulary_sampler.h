#pragma once
// Vocabularies drawn at random: what a hypernetwork that is to serve any tokenizer trains on.
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "kit/unigram.h"

namespace xp {

struct VocabularySampling {
  std::size_t pieces = 8192;   ///< wanted, beside single characters
  std::size_t words = 100000;  ///< drawn anew for each vocabulary
  std::size_t max_chars = 15;  ///< of a piece, the mark of a word's start included
  double noise_median = 1e-5;  ///< of the standard deviation of noise on a piece's share
  double noise_log_sd = 4;     ///< of the logarithm of that standard deviation
};

/// Draws words by their counts and scores each substring s of theirs, within letters, within digits or within other
/// characters, by p(s) + noise, p(s) its occurrences times its characters as a share of all; the standard deviation
/// of the normal noise is drawn as well, log-normal. The best become pieces with the score log(p + noise), and each
/// single character one (Minixhofer, Ponti and Vulic 2024, "Zero-shot tokenizer transfer", section 3.2). By falling
/// score, equal ones by their bytes. Throws Error (Exit::data) if there is no word with a count.
XP_API std::vector<UnigramPiece> sample_vocabulary(const std::vector<WordCount>& words,
                                                   const VocabularySampling& sampling, const RandomStream& random);

}  // namespace xp
