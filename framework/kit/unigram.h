#pragma once
// Unigram language model of subwords: learning the pieces and cutting words into them. Kudo 2018, "Subword
// regularization: improving neural network translation models with multiple subword candidates", sections 3.1, 3.2.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kit/byte_trie.h"
#include "kit/word_cache.h"
#include "kit/word_counts.h"

namespace xp {

struct UnigramPiece {
  std::string text;
  double score = 0;  ///< natural logarithm of its probability
};

struct UnigramSettings {
  std::size_t pieces = 8000;    ///< wanted, single characters included
  double coverage = 0.9995;     ///< share of the text's characters that get a piece of their own
  std::size_t seeds = 1000000;  ///< most candidates at the start
  double shrink = 0.75;         ///< share of candidates that a round of pruning keeps
  int em_iterations = 2;        ///< between two rounds of pruning
  int max_chars = 16;           ///< longest piece
  bool sparse = true;        ///< M-step by digamma (Bayesian, few pieces survive) instead of plain maximum likelihood
  std::int64_t threads = 0;  ///< 0: one per core; the result is the same for any number
  bool split_kinds = true;   ///< pieces stay within one script, within digits or within other characters
  std::string mark = "\u2581";  ///< character that begins words; it starts pieces and is never inside one
};

struct UnigramFit {
  std::vector<UnigramPiece> pieces;  ///< by falling score, equal ones by their bytes
  struct Step {
    std::size_t pieces = 0;
    double log_likelihood = 0;  ///< of the counted words, in nats, before the step's scores change
  };
  std::vector<Step> steps;        ///< every EM iteration
  std::size_t dropped_chars = 0;  ///< characters below the coverage or beyond half of the wanted pieces
};

/// Learns pieces from counted words. Candidates are substrings of up to max_chars characters that occur at least
/// twice and, with split_kinds, stay within one kind of characters; characters that are dropped cut words. Scores
/// have six decimals, so that they read back as the same number everywhere.
XP_API UnigramFit fit_unigram(const std::vector<WordCount>& words, const UnigramSettings& settings);

/// Cuts words into the pieces with the highest sum of scores (Viterbi 1967); at equal sums the cut whose last piece
/// is longest wins, as in the tokenizers library. A character that begins no fitting piece costs `unknown_score` and
/// gets the id `unknown`.
class XP_API UnigramModel {
 public:
  UnigramModel(std::int32_t unknown, double unknown_score) : unknown_(unknown), unknown_score_(unknown_score) {}
  void add(std::string_view text, std::int32_t id, double score);
  /// Appends; linear in the word's bytes (times the longest piece). Valid UTF-8 only.
  void cut(std::string_view word, std::vector<CutPiece>& out) const;

 private:
  ByteTrie trie_;
  std::vector<double> scores_;  // by id
  std::int32_t unknown_;
  double unknown_score_;
};

}  // namespace xp
