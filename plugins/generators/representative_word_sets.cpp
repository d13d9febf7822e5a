#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "api/generator.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"
#include "schema/quantity.h"

namespace {

constexpr int kTries = 100;  ///< draws for one set or pair before it is given up

/// A word in lower case, as the counts have it.
std::string lower(std::string_view stretch) {
  std::string out;
  for (const char32_t c : xp::characters(stretch)) xp::append_lower(out, c);
  return out;
}

/// Pairs of word sets of one size drawn from a document's smoothed model; the set that the model finds more probable
/// represents the document better (Ma et al. 2021, PROP, section 3.2). Each pair becomes two documents of one group:
/// the text is the document, `text_b` the set, `better` 1 or 0, and `maskable` names the text that may be masked.
class RepresentativeWordSets final : public xp::Generator {
 public:
  enum class Labels : std::uint8_t { likelihood, random };
  struct Params {
    xp::Reference model;
    xp::Distribution length;
    std::int64_t pairs = 5, candidates = 500, short_words = 100;
    double sample = 1e-4, keep_short = 0.2;
    Labels labels = Labels::likelihood;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "Counts of words that a stage `fit` made with `word_counts`.")
          .artifact("statistics")
          .required();
      f.add(&Params::length, "length", "Words of a set, at least 1; both sets of a pair have as many.").required();
      f.add(&Params::pairs, "pairs", "Pairs of each document.").min(1);
      f.add(&Params::candidates, "candidates", "Words of a document's model that are drawn from, the most probable.")
          .min(2);
      f.add(&Params::sample, "sample",
            "Words are drawn less by sqrt(sample / share) where their share of the corpus is larger than this; 0: "
            "never (Mikolov et al. 2013).")
          .min(0);
      f.add(&Params::short_words, "short_words", "Documents with fewer counted words are short.").min(0);
      f.add(&Params::keep_short, "keep_short", "Share of the short documents that is used.").min(0).max(1);
      f.add(&Params::labels, "labels", "Who says which set is better; random is the control without meaning.",
            {{"likelihood", Labels::likelihood}, {"random", Labels::random}});
      for (const char* field : {"text", "text_b", "better", "maskable"}) f.gives("field", field);
      f.gives("group", "2");
    }
  };
  explicit RepresentativeWordSets(Params params) : p_(std::move(params)) {}

  /// Takes the counts as the part `model`.
  void load(const xp::State& state) override {
    const auto& model = state.child("model");
    words_ = model.strings("words"), background_ = model.floats("background").data;
    const auto& counts = model.ints("counts").data;
    const auto& mu = model.floats("mu").data;
    const auto whole = [](float x) { return std::isfinite(x) && x >= 0; };
    if (words_.empty() || background_.size() != words_.size() || counts.size() != words_.size() || mu.size() != 1 ||
        !whole(mu[0]) || !std::all_of(background_.begin(), background_.end(), whole) ||
        *std::min_element(counts.begin(), counts.end()) < 1)
      throw xp::Error("`model` does not hold counts of words as `word_counts` makes them", xp::Exit::data);
    mu_ = mu[0];
    double all = 0;
    for (const auto n : counts) all += static_cast<double>(n);
    index_.clear(), keep_.clear();
    for (std::size_t w = 0; w < words_.size(); ++w) {
      index_.emplace(words_[w], w);
      const double share = static_cast<double>(counts[w]) / all;
      keep_.push_back(p_.sample > 0 ? std::min(1.0, std::sqrt(p_.sample / share)) : 1.0);
    }
  }

  std::vector<xp::Document> generate(const xp::Document& from, xp::Backend&, xp::RandomStream random) override {
    if (words_.empty()) throw xp::Error("`representative_word_sets` has not got its counts of words");
    std::int64_t length = 0;
    const auto model = model_of(from.text, length);
    if (length < p_.short_words && random.uniform() >= p_.keep_short) return {};
    std::vector<xp::Document> out;
    for (std::int64_t i = 0; i < p_.pairs; ++i) {
      const auto wanted = static_cast<std::size_t>(std::max(1.0, std::round(p_.length.draw(random))));
      Set first, second;
      if (!draw_pair(model, wanted, random, first, second)) continue;
      // The coin has a stream of its own, so that the control gets the same pairs.
      const bool first_better = p_.labels == Labels::likelihood
                                    ? first.score > second.score
                                    : random.fork(static_cast<std::uint64_t>(i) + 1).uniform() < 0.5;
      out.push_back(member(from, i, "a", first, first_better));
      out.push_back(member(from, i, "b", second, !first_better));
    }
    return out;
  }

 private:
  /// The words of one document that may be drawn.
  struct DocumentModel {
    std::vector<std::size_t> words;
    std::vector<double> log_p, below;  ///< `below`: sums of the weights up to and with each word
  };
  struct Set {
    std::vector<std::size_t> words;  ///< places in the model, in the order they were drawn
    double score = 0;
  };

  DocumentModel model_of(const std::string& text, std::int64_t& length) const {
    std::unordered_map<std::size_t, std::int64_t> counts;
    for (const auto& [begin, end] : xp::word_spans(text))
      if (const auto word = index_.find(lower(std::string_view(text).substr(begin, end - begin)));
          word != index_.end())
        ++counts[word->second], ++length;
    std::vector<std::pair<double, std::size_t>> ranked;
    const double mass = static_cast<double>(length) + mu_;
    for (std::size_t w = 0; w < words_.size(); ++w) {
      const auto own = counts.find(w);
      const double tf = own == counts.end() ? 0 : static_cast<double>(own->second);
      const double p = mass > 0 ? (tf + mu_ * static_cast<double>(background_[w])) / mass : 0;
      if (p > 0) ranked.emplace_back(-p, w);
    }
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(p_.candidates)));
    DocumentModel model;
    double sum = 0;
    for (const auto& [negative, w] : ranked) {
      model.words.push_back(w), model.log_p.push_back(std::log(-negative));
      model.below.push_back(sum -= negative * keep_[w]);
    }
    return model;
  }

  /// Different words, each drawn by its weight among those that are left.
  static bool draw_set(const DocumentModel& model, std::size_t wanted, xp::RandomStream& random, Set& out) {
    out = {};
    std::set<std::size_t> taken;
    for (int tries = 0; taken.size() < wanted && tries < kTries * static_cast<int>(wanted); ++tries) {
      const auto at = std::upper_bound(model.below.begin(), model.below.end(), random.uniform() * model.below.back());
      const auto place =
          std::min<std::size_t>(static_cast<std::size_t>(at - model.below.begin()), model.below.size() - 1);
      if (!taken.insert(place).second) continue;
      out.words.push_back(place), out.score += model.log_p[place];
    }
    return taken.size() == wanted;
  }

  /// Two sets that the model tells apart.
  bool draw_pair(const DocumentModel& model, std::size_t wanted, xp::RandomStream& random, Set& first,
                 Set& second) const {
    if (model.words.size() < 2) return false;
    wanted = std::min(wanted, model.words.size() - 1);
    for (int tries = 0; tries < kTries; ++tries)
      if (draw_set(model, wanted, random, first) && draw_set(model, wanted, random, second) &&
          std::abs(first.score - second.score) > 1e-9)
        return name_words(model, first), name_words(model, second), true;
    return false;
  }

  static void name_words(const DocumentModel& model, Set& set) {
    for (auto& word : set.words) word = model.words[word];
  }

  xp::Document member(const xp::Document& from, std::int64_t pair, const char* which, const Set& set,
                      bool better) const {
    xp::Document out = from;
    out.annotations.clear();
    out.group = from.id + "#" + std::to_string(pair);
    out.id = out.group + which;
    std::vector<std::string> words;
    for (const auto word : set.words) words.push_back(words_[word]);
    out.fields = {{"text_b", xp::join(words, " ")}, {"better", better ? "1" : "0"}, {"maskable", "text"}};
    return out;
  }

  Params p_;
  xp::Strings words_;
  std::vector<float> background_;
  std::vector<double> keep_;  ///< share of a word's draws that sub-sampling leaves
  std::unordered_map<std::string, std::size_t> index_;
  double mu_ = 0;
};

}  // namespace

XP_PLUGIN(representative_word_sets) {
  registry.add<RepresentativeWordSets>("representative_word_sets",
                                       "Pairs of word sets, of which one represents its document better.");
}
