#include "api/fitter.h"
#include "plugin/plugin.h"
#include "trainer.h"

namespace xp::skipgram {

void Settings::describe(Fields<Settings>& f) {
  f.add(&Settings::dim, "dim", "Numbers of a vector.").min(1).max(4096);
  f.add(&Settings::epochs, "epochs", "Passes over the text.").min(1);
  f.add(&Settings::window, "window", "Words to each side, drawn anew up to this for every word.").min(1);
  f.add(&Settings::negatives, "negatives",
        "Words that count against each true neighbour, drawn by count^0.75; neighbouring words share what is drawn.")
      .min(1);
  f.add(&Settings::min_count, "min_count", "Rarer words get no vector.").min(1);
  f.add(&Settings::min_n, "min_n", "Shortest character n-gram of a word between < and >; 0 uses words alone.").min(0);
  f.add(&Settings::max_n, "max_n", "Longest character n-gram.").min(0);
  f.add(&Settings::buckets, "buckets", "Vectors that n-grams share by hash.").min(1).max(1e8);
  f.add(&Settings::lr, "lr", "Learning rate at the start; it falls to 0 linearly.").above(0);
  f.add(
       &Settings::sample, "sample",
       "Words of a larger share of the text are kept with chance sqrt(sample / share) + sample / share; 0 keeps all.")
      .min(0);
  f.add(&Settings::parallel, "parallel",
        "Words of a translation that each word also predicts; 0 ignores translations.")
      .min(0);
  f.add(&Settings::parallel_window, "parallel_window", "How far from the same relative place such a word may lie.")
      .min(0);
  f.add(&Settings::threads, "threads", "Threads that train; the result does not depend on them.").min(1);
}

namespace {

/// Skip-gram with subwords and negative sampling (Mikolov et al. 2013; Bojanowski et al. 2017). Documents that share
/// a group across languages also predict words at the same relative place, so that translations come to lie together
/// (Vulić and Moens 2015). Negatives are shared by neighbouring words (Ji et al. 2016).
class Skipgram final : public Fitter {
 public:
  using Params = Settings;
  explicit Skipgram(Params params) : p_(params) {
    if (p_.min_n > p_.max_n)
      throw Error("min_n = " + std::to_string(p_.min_n) + " is above max_n = " + std::to_string(p_.max_n));
  }

  State fit(const DataSource& source, const Encoder* encoder, Handle*, const RandomStreams& random) const override {
    auto corpus = read_corpus(source, encoder, p_);
    Trainer trainer(p_, corpus, random);
    trainer.run();
    Floats vectors{trainer.vectors(), {std::ssize(corpus.words), p_.dim}};
    State state;
    state.set("words", std::move(corpus.words)), state.set("counts", Ints{std::move(corpus.counts)}),
        state.set("vectors", std::move(vectors));
    return state;
  }

 private:
  Params p_;
};

}  // namespace
}  // namespace xp::skipgram

XP_PLUGIN(skipgram) {
  registry.add<xp::skipgram::Skipgram>("skipgram", "Word vectors by skip-gram with subwords and negative sampling.");
}
