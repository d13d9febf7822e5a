#pragma once
// Words with vectors, counts or translations, as files of other tools have them.
#include <string>
#include <utility>
#include <vector>

#include "api/state.h"
#include "schema/value.h"

namespace xp {

struct NamedVectors {
  Strings words;
  Floats vectors;  ///< [words, width]
};

/// The words of a static_vectors artifact.
XP_API NamedVectors named_vectors(const State& vectors);
/// One file of a `.files()` field: fastText, word2vec or GloVe. Throws Error (Exit::data) with file and place,
/// (Exit::usage) if the field names no file or several.
XP_API NamedVectors named_vectors(const std::vector<Value>& field);

/// Lines "word TAB count"; of each of `words` its count, 0 if it has none.
XP_API std::vector<double> word_counts(const std::vector<Value>& field, const Strings& words);

struct PairCount {
  std::string source, target;
  double count = 0;
};
/// Lines "source token TAB target token TAB count", tokens as their vocabularies spell them. Throws Error
/// (Exit::data) with the line for others.
XP_API std::vector<PairCount> pair_counts(const std::vector<Value>& field);
/// The same of words, from translations ("source", "target", "counts"). Throws Error (Exit::data) if the columns
/// differ in length.
XP_API std::vector<PairCount> pair_counts(const State& translations);

/// Lines "word TAB word", or two words with spaces between. Throws Error (Exit::data) with the line for others.
XP_API std::vector<std::pair<std::string, std::string>> word_pairs(const std::vector<Value>& field);

/// Of each word of the old language in translations the most frequent one, the first of several. Throws Error as
/// pair_counts().
XP_API std::vector<std::pair<std::string, std::string>> likeliest_translations(const State& translations);

/// The word as it is, in lower and in title case, whatever language the machine speaks.
XP_API std::vector<std::string> cases_of(const std::string& word);

}  // namespace xp
