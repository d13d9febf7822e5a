#include <algorithm>
#include <unordered_map>

#include "api/fitter.h"
#include "base/text.h"
#include "kit/plain_words.h"
#include "plugin/plugin.h"

namespace {

using Ids = std::vector<std::int64_t>;

/// N-grams of one length, each once, in lexicographic order.
struct Level {
  std::int64_t n = 0;
  Ids grams, counts;

  std::size_t size() const { return counts.size(); }
  Ids::const_iterator at(std::size_t i) const { return grams.begin() + static_cast<std::ptrdiff_t>(i) * n; }
};

/// Counts the runs of n ids that begin at `starts`.
Level counted(const Ids& ids, std::vector<std::size_t> starts, std::int64_t n) {
  const auto from = [&](std::size_t start) { return ids.begin() + static_cast<std::ptrdiff_t>(start); };
  std::sort(starts.begin(), starts.end(), [&](std::size_t a, std::size_t b) {
    return std::lexicographical_compare(from(a), from(a) + n, from(b), from(b) + n);
  });
  Level out{n, {}, {}};
  for (const auto start : starts) {
    if (out.size() > 0 && std::equal(from(start), from(start) + n, out.at(out.size() - 1))) {
      ++out.counts.back();
    } else {
      out.grams.insert(out.grams.end(), from(start), from(start) + n), out.counts.push_back(1);
    }
  }
  return out;
}

/// The n-grams that end those of `longer`, each counted once for each word that stands before it.
Level continuations(const Level& longer) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < longer.size(); ++i) starts.push_back(i * static_cast<std::size_t>(longer.n) + 1);
  return counted(longer.grams, std::move(starts), longer.n - 1);
}

/// Counts for an n-gram model with interpolated Kneser-Ney smoothing (Kneser and Ney 1995, in the form
/// of Chen and Goodman 1999): how often each n-gram of the full order occurs, and of shorter ones how many words they
/// follow. N-grams lie within one document; case and signs are not looked at.
class NgramModel final : public xp::Fitter {
 public:
  struct Params {
    std::int64_t order = 3, min_count = 2;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::order, "order", "Words of the longest n-grams.").min(1).max(8);
      f.add(&Params::min_count, "min_count",
            "Rarer words are alike: what the model expects of words it has not seen.")
          .min(1);
    }
  };
  explicit NgramModel(Params params) : p_(params) {}

  /// `words` (most frequent first; word i has the id i + 1, all others 0), `unseen` (how many others there are, at
  /// least 1), and for each n up to the order `ngrams_n` [count, n] in lexicographic order with `counts_n`.
  xp::State fit(const xp::DataSource& corpus, const xp::Encoder*, xp::Handle*,
                const xp::RandomStreams&) const override {
    auto text = read(corpus);
    xp::State state;
    state.set("unseen", xp::Ints{{std::max<std::int64_t>(text.others, 1)}});
    state.set("words", std::move(text.words));
    std::vector<std::size_t> starts;
    for (std::size_t d = 0, begin = 0; d < text.ends.size(); begin = text.ends[d++])
      for (auto i = begin; i + static_cast<std::size_t>(p_.order) <= text.ends[d]; ++i) starts.push_back(i);
    if (starts.empty())
      throw xp::Error(
          "no document has " + xp::count(static_cast<std::size_t>(p_.order), "word") + " in a row; lower `order`",
          xp::Exit::data);
    auto level = counted(text.ids, std::move(starts), p_.order);
    while (true) {
      const auto n = std::to_string(level.n);
      state.set("ngrams_" + n, xp::Ints{level.grams, {std::ssize(level.counts), level.n}});
      state.set("counts_" + n, xp::Ints{level.counts});
      if (level.n == 1) return state;
      level = continuations(level);
    }
  }

 private:
  struct Text {
    xp::Strings words;
    std::int64_t others = 0;
    Ids ids;                        ///< of all documents after each other
    std::vector<std::size_t> ends;  ///< of each document
  };

  Text read(const xp::DataSource& corpus) const {
    std::unordered_map<std::string, std::size_t> known;
    std::vector<std::pair<std::int64_t, std::string>>
        seen;  // minus the count, so that sorting puts frequent ones first
    Text out;
    corpus.for_each([&](const xp::Document& document) {
      for (auto& word : xp::plain_words(document.text)) {
        const auto [at, is_new] = known.emplace(std::move(word), seen.size());
        if (is_new) seen.emplace_back(0, at->first);
        --seen[at->second].first, out.ids.push_back(static_cast<std::int64_t>(at->second));
      }
      out.ends.push_back(out.ids.size());
    });
    std::sort(seen.begin(), seen.end());
    std::vector<std::int64_t> id_of(seen.size(), 0);
    for (const auto& [count, word] : seen) {
      if (-count < p_.min_count) break;
      out.words.push_back(word), id_of[known.at(word)] = std::ssize(out.words);
    }
    if (out.words.empty())
      throw xp::Error("of " + xp::count(seen.size(), "word") + " none occurs " +
                          xp::count(static_cast<std::size_t>(p_.min_count), "time") + "; lower `min_count`",
                      xp::Exit::data);
    out.others = std::ssize(seen) - std::ssize(out.words);
    for (auto& id : out.ids) id = id_of[static_cast<std::size_t>(id)];
    return out;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(ngram_model) {
  registry.add<NgramModel>("ngram_model", "Counts of word n-grams for a model with Kneser-Ney smoothing.");
}
