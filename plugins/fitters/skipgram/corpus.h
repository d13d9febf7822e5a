#pragma once
// Text as numbers of words, and what is drawn from it.
#include <string>
#include <vector>

#include "api/dataset.h"
#include "base/random.h"
#include "settings.h"

namespace xp {
class Encoder;
}

namespace xp::skipgram {

struct Text {
  std::vector<std::int32_t> words;
  std::int32_t group = -1;  ///< index into Corpus::groups, if other languages share it
  std::string language;
};

/// One column of an alias table (Walker 1977): this word with chance `own`, else `other`.
struct Draw {
  float own = 1;
  std::int32_t other = 0;
};

struct Corpus {
  std::vector<std::string> words;  ///< most frequent first
  std::vector<std::int64_t> counts;
  std::vector<std::vector<std::int32_t>> parts;  ///< input rows that make a word: its own, then those of its n-grams
  std::vector<Text> texts;
  std::vector<std::vector<std::int32_t>> groups;  ///< texts that are translations of each other
  std::vector<Draw> noise;                        ///< words by count^0.75
  std::vector<float> keep;                        ///< chance to stay under `sample`
  std::size_t rows = 0;                           ///< that parts name
  std::int64_t tokens = 0;                        ///< of all texts

  /// A word by its share of count^0.75.
  std::int32_t drawn(RandomStream& stream) const;
};

/// Of words, or of the tokens of `encoder` by their strings, if there is one. An error where none is frequent enough.
Corpus read_corpus(const DataSource& source, const Encoder* encoder, const Settings& settings);

}  // namespace xp::skipgram
