#pragma once
// Words with vectors, counts or translations, as files of other tools have them.
#include <string>
#include <utility>
#include <vector>

#include "api/state.h"
#include "schema/value.h"

namespace xp {

struct WordTable {
  Strings words;
  Floats vectors;  ///< [words, width]
};

/// The words of a static_vectors artifact.
XP_API WordTable word_table(const State& vectors);
/// One file of a `.files()` field: fastText, word2vec or GloVe. Throws Error (Exit::data) with file and place,
/// (Exit::usage) if the field names no file or several.
XP_API WordTable word_table(const std::vector<Value>& field);

/// Lines "word TAB count"; of each of `words` its count, 0 if it has none.
XP_API std::vector<double> word_counts(const std::vector<Value>& field, const Strings& words);

/// Lines "word TAB word", or two words with spaces between. Throws Error (Exit::data) with the line for others.
XP_API std::vector<std::pair<std::string, std::string>> word_pairs(const std::vector<Value>& field);

}  // namespace xp
