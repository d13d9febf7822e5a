#include <algorithm>

#include "api/fitter.h"
#include "kit/marked_words.h"
#include "kit/word_counts.h"
#include "plugin/plugin.h"

namespace {

/// Counts of words as models of subwords see them: NFKC, with the mark of the space before.
class MarkedWords final : public xp::Fitter {
 public:
  struct Params {
    std::int64_t most = 200000, threads = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::most, "most", "Words that are kept, the most frequent.").min(1);
      f.add(&Params::threads, "threads", "Threads that count; 0 takes one per core.").min(0).max(1024).no_result();
    }
  };
  explicit MarkedWords(Params params) : p_(params) {}

  /// `words`, most frequent first, equal ones by their bytes, and their `counts`.
  xp::State fit(const xp::DataSource& corpus, const xp::Encoder*, xp::Handle*,
                const xp::RandomStreams&) const override {
    auto all = xp::count_marked_words(corpus, p_.threads);
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
    all.resize(std::min(all.size(), static_cast<std::size_t>(p_.most)));
    xp::Strings words;
    xp::Ints counts;
    for (auto& one : all) words.push_back(std::move(one.word)), counts.data.push_back(one.count);
    xp::State state;
    state.set("words", std::move(words)), state.set("counts", std::move(counts));
    return state;
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(marked_words) {
  registry.add<MarkedWords>("marked_words", "Counts of words with the mark of the space before them.");
}
