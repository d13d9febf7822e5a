// N-grams of tokens that occur together more often than by chance.
#include <algorithm>
#include <cmath>

#include "api/fitter.h"
#include "api/tokenizer.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

using Ids = std::vector<std::int64_t>;

/// Of each length the n-grams with the highest t-statistic of their frequency against that of independent tokens,
/// t = (p(w) - prod p(w_i)) / sqrt(s^2 / N) with s^2 = p(w) (1 - p(w)) (Xiao et al. 2021, "ERNIE-Gram");
/// N counts the n-grams of that length. N-grams lie within one document and hold no reserved token.
class TokenNgrams final : public xp::Fitter {
 public:
  struct Params {
    std::int64_t longest = 3, most = 2000, min_count = 5;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::longest, "longest", "Tokens of the longest n-grams; the shortest have two.").min(2).max(8);
      f.add(&Params::most, "most", "N-grams of each length that are kept at most.").min(1);
      f.add(&Params::min_count, "min_count", "Rarer n-grams are left out.").min(1);
    }
  };
  explicit TokenNgrams(Params params) : p_(params) {
    if (p_.longest < 2) throw xp::Error("`longest` is " + std::to_string(p_.longest) + "; 2 or more is needed");
  }

  /// `vocab_size`, and for each n from 2 `token_ngrams_n` [count, n], highest t first.
  xp::State fit(const xp::DataSource& corpus, const xp::Encoder* encoder, xp::Handle*,
                const xp::RandomStreams&) const override {
    if (!encoder) throw xp::Error("n-grams of tokens need a vocabulary; write `tokenizer` in the stage that fits");
    const auto text = read(corpus, *encoder);
    xp::State state;
    std::size_t kept = 0;
    for (std::int64_t n = 2; n <= p_.longest; ++n) {
      auto ngrams = best(text, static_cast<std::size_t>(n));
      const auto rows = ngrams.size() / static_cast<std::size_t>(n);
      kept += rows;
      state.set("token_ngrams_" + std::to_string(n),
                xp::Ints{std::move(ngrams), {static_cast<std::int64_t>(rows), n}});
    }
    if (kept == 0)
      throw xp::Error("no n-gram occurs " + xp::count(static_cast<std::size_t>(p_.min_count), "time") +
                          " and more often than by chance; lower `min_count`",
                      xp::Exit::data);
    state.set("vocab_size", xp::Ints{{encoder->size()}});
    return state;
  }

 private:
  struct Text {
    std::vector<Ids> runs;      // of tokens that are not reserved, none over the end of a document
    std::vector<double> share;  // of each token
  };

  static Text read(const xp::DataSource& corpus, const xp::Encoder& encoder) {
    Text out;
    out.share.assign(static_cast<std::size_t>(encoder.size()), 0);
    std::vector<bool> reserved(out.share.size());
    for (const auto& [purpose, id] : encoder.purposes()) reserved[static_cast<std::size_t>(id)] = true;
    double total = 0;
    corpus.for_each([&](const xp::Document& document) {
      out.runs.emplace_back();
      for (const auto& token : encoder.encode(document.text)) {
        const auto id = static_cast<std::size_t>(token.id);
        if (reserved[id])
          out.runs.emplace_back();
        else
          out.runs.back().push_back(token.id), ++out.share[id], ++total;
      }
    });
    for (auto& share : out.share) share /= std::max(total, 1.0);
    return out;
  }

  Ids best(const Text& text, std::size_t n) const {
    std::vector<const std::int64_t*> starts;
    for (const auto& run : text.runs)
      for (std::size_t i = 0; i + n <= run.size(); ++i) starts.push_back(run.data() + i);
    std::sort(starts.begin(), starts.end(),
              [n](const auto* a, const auto* b) { return std::lexicographical_compare(a, a + n, b, b + n); });
    std::vector<std::pair<double, const std::int64_t*>> found;  // minus t, so that sorting puts the highest first
    for (std::size_t i = 0, end = 0; i < starts.size(); i = end) {
      for (end = i; end < starts.size() && std::equal(starts[i], starts[i] + n, starts[end]);) ++end;
      const double t =
          statistic(text, starts[i], n, static_cast<double>(end - i), static_cast<double>(starts.size()));
      if (static_cast<std::int64_t>(end - i) >= p_.min_count && t > 0) found.emplace_back(-t, starts[i]);
    }
    // Stable: equal ones stay in the order of their ids.
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Ids out;
    for (std::size_t i = 0; i < std::min(found.size(), static_cast<std::size_t>(p_.most)); ++i)
      out.insert(out.end(), found[i].second, found[i].second + n);
    return out;
  }

  static double statistic(const Text& text, const std::int64_t* ngram, std::size_t n, double count, double all) {
    double chance = 1;
    for (std::size_t i = 0; i < n; ++i) chance *= text.share[static_cast<std::size_t>(ngram[i])];
    // Where every n-gram is the same one its variance is nought; half an occurrence less keeps t finite.
    const double p = count / all, spread = std::min(p, (all - 0.5) / all);
    return (p - chance) / std::sqrt(spread * (1 - spread) / all);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(token_ngrams) {
  registry.add<TokenNgrams>("token_ngrams", "N-grams of tokens that occur together more often than by chance.");
}
