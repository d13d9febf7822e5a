#include <algorithm>
#include <map>
#include <unordered_map>

#include "api/selector.h"
#include "kit/paragraphs.h"
#include "kit/plain_words.h"
#include "plugin/plugin.h"

namespace {

/// 1 minus the share of a document's words that lie in stretches which the document has several times; every
/// occurrence counts, and a word in several such stretches counts once. After the rules on repetition of Rae et al.
/// 2021 (appendix A.1.1, table A1), which count characters: there documents are dropped below 0.85 (n = 5) to 0.90
/// (n = 10), and below 0.80 for paragraphs.
class Repetition final : public xp::Scorer {
 public:
  enum class Of : std::uint8_t { ngrams, paragraphs };
  struct Params {
    Of of = Of::ngrams;
    std::int64_t n = 5;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Which stretches are compared: n words in a row, or paragraphs.",
            {{"ngrams", Of::ngrams}, {"paragraphs", Of::paragraphs}});
      f.add(&Params::n, "n", "Words of a stretch, for `of` = ngrams.").min(1).max(100);
    }
  };
  explicit Repetition(Params params) : p_(params) {}

  /// 1 for documents without words: nothing is said twice.
  double score(const xp::Document& document) const override {
    const auto [repeated, all] = p_.of == Of::ngrams ? in_ngrams(document) : in_paragraphs(document);
    return all == 0 ? 1 : 1 - static_cast<double>(repeated) / static_cast<double>(all);
  }

 private:
  struct Counted {
    std::int64_t repeated = 0, all = 0;
  };

  Counted in_ngrams(const xp::Document& document) const {
    const auto words = xp::plain_words(document.text);
    const auto n = static_cast<std::size_t>(p_.n);
    Counted out{0, std::ssize(words)};
    if (words.size() <= n) return out;
    std::unordered_map<std::string, std::size_t> known;
    std::vector<std::size_t> ids, starts(words.size() - n + 1);
    for (const auto& word : words) ids.push_back(known.emplace(word, known.size()).first->second);
    for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i;
    const auto from = [&](std::size_t start) { return ids.begin() + static_cast<std::ptrdiff_t>(start); };
    const auto width = static_cast<std::ptrdiff_t>(n);
    std::sort(starts.begin(), starts.end(), [&](std::size_t a, std::size_t b) {
      return std::lexicographical_compare(from(a), from(a) + width, from(b), from(b) + width);
    });
    std::vector<bool> twice(words.size());
    for (std::size_t i = 1; i < starts.size(); ++i)
      if (std::equal(from(starts[i - 1]), from(starts[i - 1]) + width, from(starts[i])))
        for (std::size_t w = 0; w < n; ++w) twice[starts[i - 1] + w] = twice[starts[i] + w] = true;
    out.repeated = std::count(twice.begin(), twice.end(), true);
    return out;
  }

  static Counted in_paragraphs(const xp::Document& document) {
    std::map<std::vector<std::string>, std::int64_t> times;
    Counted out;
    for (const auto& [begin, end] : xp::paragraphs_of(document)) {
      auto words = xp::plain_words(std::string_view(document.text).substr(begin, end - begin));
      out.all += std::ssize(words);
      ++times[std::move(words)];
    }
    for (const auto& [words, n] : times)
      if (n > 1) out.repeated += n * std::ssize(words);
    return out;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(repetition) {
  registry.add<Repetition>("repetition", "1 minus the share of words in stretches that a document repeats.");
}
