#include "bm25.h"

#include <cmath>

#include "kit/unicode.h"

namespace xp::ranking {

std::vector<std::string> words_of(std::string_view text) {
  const auto clean = repaired_utf8(text);
  std::vector<std::string> out;
  for (const auto& span : word_spans(clean)) {
    const auto word = std::string_view(clean).substr(span.begin, span.end - span.begin);
    std::string lower;
    bool says = false;
    for (std::size_t at = 0; at < word.size();) {
      const auto c = next_char(word, at);
      says = says || is_letter(c) || is_number(c);
      append_lower(lower, c);
    }
    if (says) out.push_back(std::move(lower));
  }
  return out;
}

Bm25::Bm25(const std::vector<std::string>& documents, double k1, double b) : k1_(k1), b_(b) {
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const auto words = words_of(documents[d]);
    lengths_.push_back(static_cast<double>(words.size()));
    mean_ += lengths_.back() / static_cast<double>(documents.size());
    for (const auto& word : words) {
      auto& list = postings_[word];
      if (list.empty() || list.back().document != d) list.push_back({.document = d});
      ++list.back().count;
    }
  }
}

std::vector<double> Bm25::scores(std::string_view query) const {
  std::vector<double> out(lengths_.size());
  const auto all = static_cast<double>(lengths_.size());
  for (const auto& word : words_of(query)) {
    const auto found = postings_.find(word);
    if (found == postings_.end()) continue;
    const auto having = static_cast<double>(found->second.size());
    const double idf = std::log1p((all - having + 0.5) / (having + 0.5));
    for (const auto& [document, times] : found->second) {
      const double longer = 1 - b_ + b_ * lengths_[document] / mean_;
      out[document] += idf * times * (k1_ + 1) / (times + k1_ * longer);
    }
  }
  return out;
}

}  // namespace xp::ranking
