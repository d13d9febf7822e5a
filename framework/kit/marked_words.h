#pragma once
// Words with the mark that stands for the space before them, as models of subwords see them.
#include <string>
#include <string_view>

#include "kit/word_counts.h"

namespace xp {

/// Stands for a space and begins every word (LOWER ONE EIGHTH BLOCK).
constexpr std::string_view kWordMark = "\u2581";

/// NFKC; every run of white space, and of the mark itself, becomes one mark, none at the end, one at the start.
XP_API std::string marked_words(std::string_view text);

/// Counts of these words over all documents, as count_words() gives them.
XP_API std::vector<WordCount> count_marked_words(const DataSource& corpus, std::int64_t threads);

}  // namespace xp
