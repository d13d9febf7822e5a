#pragma once
// Ranking by words alone: the candidates that are ranked again, and the floor that a model must beat.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace xp::ranking {

/// Lower-cased words of a text by the word boundaries of UAX 29; stretches without a letter or number are none.
std::vector<std::string> words_of(std::string_view text);

/// score(q, d) = sum over words t of q of idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|)), tf the count of
/// t in d (Robertson and Zaragoza 2009, equation 3.15), with idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)) for n of N
/// documents that have t, which is never negative. A word that the query repeats counts each time.
class Bm25 {
 public:
  Bm25(const std::vector<std::string>& documents, double k1, double b);
  /// One number per document.
  std::vector<double> scores(std::string_view query) const;

 private:
  struct Posting {
    std::size_t document = 0;
    double count = 0;
  };
  double k1_, b_, mean_ = 0;
  std::vector<double> lengths_;
  std::map<std::string, std::vector<Posting>, std::less<>> postings_;
};

}  // namespace xp::ranking
