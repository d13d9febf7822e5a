#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "api/selector.h"
#include "base/text.h"
#include "kit/plain_words.h"
#include "plugin/plugin.h"

namespace {

using Ids = std::vector<std::int64_t>;

/// N-grams of one length with what follows their first n - 1 words.
class Level {
 public:
  /// Nothing if these are no n-grams of ids up to `most` in lexicographic order with their counts.
  static std::optional<Level> from(const xp::Ints& grams, const xp::Ints& counts, std::int64_t n, std::int64_t most) {
    const auto size = std::ssize(counts.data);
    if (size == 0 || std::ssize(grams.data) / n != size || std::ssize(grams.data) % n != 0) return {};
    Level out;
    out.n_ = n, out.grams_ = grams.data, out.counts_ = counts.data;
    for (const auto id : out.grams_)
      if (id < 0 || id > most) return {};
    for (std::int64_t i = 0; i < size; ++i) {
      if (out.counts_[static_cast<std::size_t>(i)] < 1) return {};
      if (i > 0 && !std::lexicographical_compare(out.at(i - 1), out.at(i), out.at(i), out.at(i + 1))) return {};
    }
    out.index();
    return out;
  }

  /// Whether the words before `word` were seen here; then `p`, the probability by fewer words before it, becomes the
  /// interpolated one.
  bool refine(Ids::const_iterator word, double& p) const {
    const auto first = word - (n_ - 1);
    const auto before = [&](std::int64_t gram, Ids::const_iterator wanted) {
      return std::lexicographical_compare(at(gram), at(gram) + n_ - 1, wanted, wanted + n_ - 1);
    };
    const auto found = std::lower_bound(contexts_.begin(), contexts_.end() - 1, first,
                                        [&](const Context& c, auto wanted) { return before(c.begin, wanted); });
    if (found == contexts_.end() - 1 || !std::equal(first, word, at(found->begin))) return false;
    const auto begin = found->begin, end = (found + 1)->begin;
    std::int64_t low = begin, high = end;
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      if (last(middle) < *word)
        low = middle + 1;
      else
        high = middle;
    }
    const double count =
        low < end && last(low) == *word ? static_cast<double>(counts_[static_cast<std::size_t>(low)]) - discount_ : 0;
    p = (count + discount_ * static_cast<double>(end - begin) * p) / found->total;
    return true;
  }

 private:
  struct Context {
    std::int64_t begin = 0;  ///< its first n-gram; the last entry marks the end of all
    double total = 0;
  };

  Ids::const_iterator at(std::int64_t gram) const { return grams_.begin() + gram * n_; }
  std::int64_t last(std::int64_t gram) const { return *(at(gram) + n_ - 1); }

  void index() {
    const auto size = std::ssize(counts_);
    double once = 0, twice = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      const auto count = counts_[static_cast<std::size_t>(i)];
      once += count == 1, twice += count == 2;
      if (i == 0 || !std::equal(at(i), at(i) + n_ - 1, at(i - 1))) contexts_.push_back({i, 0});
      contexts_.back().total += static_cast<double>(count);
    }
    contexts_.push_back({size, 0});
    if (once > 0 && twice > 0) discount_ = once / (once + 2 * twice);
  }

  std::int64_t n_ = 1;
  Ids grams_, counts_;
  std::vector<Context> contexts_;
  double discount_ = 0.5;  ///< n1 / (n1 + 2 n2) (Ney et al. 1994), which needs n-grams seen once and twice
};

/// Minus the perplexity per word, exp(-1/N sum log p(w_i | w_i-n+1 .. w_i-1)), under an n-gram model of clean text
/// with interpolated Kneser-Ney smoothing (Chen and Goodman 1999, with one discount for each order; the
/// shortest order is interpolated with a uniform one). Words that the model does not have share the probability of
/// what was rare in its corpus, so that a text of them never looks likely. Wenzek et al. 2020 (CCNet) filter so.
class NgramPerplexity final : public xp::Scorer {
 public:
  struct Params {
    xp::Reference model;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "Counts that a stage `fit` made of clean text with `ngram_model`.")
          .artifact("statistics")
          .required();
    }
  };
  explicit NgramPerplexity(Params params) : p_(std::move(params)) {}

  void start(const xp::Resources& resources) override {
    const auto& state = resources.artifact(p_.model.text);
    const auto wrong = [&] {
      return xp::Error(xp::backquoted(p_.model.text) + " does not hold an n-gram model as `ngram_model` makes it",
                       xp::Exit::data);
    };
    if (!state.has("words") || !state.has("unseen") || !state.has("ngrams_1")) throw wrong();
    const auto& words = state.strings("words");
    const auto& unseen = state.ints("unseen").data;
    if (words.empty() || unseen.size() != 1 || unseen[0] < 1) throw wrong();
    unseen_ = static_cast<double>(unseen[0]);
    levels_.clear(), ids_.clear();
    for (const auto& word : words)
      if (!ids_.emplace(word, std::ssize(ids_) + 1).second) throw wrong();
    for (std::int64_t n = 1; state.has("ngrams_" + std::to_string(n)); ++n) {
      const auto name = std::to_string(n);
      if (!state.has("counts_" + name)) throw wrong();
      auto level = Level::from(state.ints("ngrams_" + name), state.ints("counts_" + name), n, std::ssize(words));
      if (!level) throw wrong();
      levels_.push_back(std::move(*level));
    }
  }

  /// Of a document without words: minus the number of words there are, as of a model that knows nothing.
  double score(const xp::Document& document) const override {
    if (levels_.empty()) throw xp::Error("`ngram_perplexity` has not got its model");
    Ids ids;
    for (const auto& word : xp::plain_words(document.text)) {
      const auto found = ids_.find(word);
      ids.push_back(found == ids_.end() ? 0 : found->second);
    }
    if (ids.empty()) return -(static_cast<double>(ids_.size()) + unseen_);
    double sum = 0;
    for (auto word = ids.cbegin(); word != ids.cend(); ++word) sum += log_p(ids.cbegin(), word);
    return -std::exp(-sum / static_cast<double>(ids.size()));
  }

 private:
  // A level that lacks the words before this one ends the search: what has followed more words has followed fewer.
  double log_p(Ids::const_iterator begin, Ids::const_iterator word) const {
    double p = 1 / (static_cast<double>(ids_.size()) + 1);
    for (std::int64_t n = 0; n < std::ssize(levels_) && n <= word - begin; ++n)
      if (!levels_[static_cast<std::size_t>(n)].refine(word, p)) break;
    return std::log(*word == 0 ? p / unseen_ : p);
  }

  Params p_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::vector<Level> levels_;
  double unseen_ = 1;
};

}  // namespace

XP_PLUGIN(ngram_perplexity) {
  registry.add<NgramPerplexity>("ngram_perplexity", "Minus a document's perplexity under an n-gram model.");
}
