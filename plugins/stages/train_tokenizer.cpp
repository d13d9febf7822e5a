#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Fits a tokenizer to a corpus.
class TrainTokenizer final : public xp::Stage {
 public:
  struct Params {
    std::unique_ptr<xp::Tokenizer> method;
    xp::Reference corpus;
    xp::Table reserve;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::method, "method", "The algorithm and its settings.").required();
      f.add(&Params::corpus, "corpus", "Text to fit to.").artifact("dataset").required();
      f.add(&Params::reserve, "reserve", "Ids by purpose beside the standard ones, e.g. { sentinel = 100 }.")
          .map_of(xp::field::number(true));
      f.gives("output", "tokenizer", "tokenizer");
      f.gives("metric", "size", "tokens"), f.gives("metric", "bytes_per_token", "bytes/token");
      // Fitting draws nothing that a seed should vary: all seeds share one vocabulary, or models could not be shared
      // either.
    }
  };
  explicit TrainTokenizer(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    xp::Reserve reserve;
    for (const auto& [purpose, count] : p_.reserve) {
      const auto* n = count.as<std::int64_t>();
      if (!n || *n < 1) throw xp::Error("reserve." + purpose + " wants a whole number above 0");
      reserve[purpose] = *n;
    }
    const auto corpus = context.documents(p_.corpus);
    context.progress(0, 1, "fitting");
    const auto encoder = p_.method->fit(*corpus, reserve, context.random());
    context.save(*encoder, *p_.method);
    double bytes = 0, tokens = 0;
    corpus->for_each([&](const xp::Document& document) {
      bytes += static_cast<double>(document.text.size());
      tokens += static_cast<double>(encoder->encode(document.text).size());
    });
    context.recorder().metric("size", static_cast<double>(encoder->size()), {.unit = "tokens"});
    if (tokens > 0)
      context.recorder().metric("bytes_per_token", bytes / tokens, {.unit = "bytes/token", .split = p_.corpus.text});
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(train_tokenizer) { registry.add<TrainTokenizer>("train_tokenizer", "Fits a tokenizer to a corpus."); }
