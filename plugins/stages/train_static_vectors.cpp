#include "api/fitter.h"
#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Several sources one after the other.
class Joined final : public xp::DataSource {
 public:
  explicit Joined(std::vector<std::shared_ptr<const xp::DataSource>> parts) : parts_(std::move(parts)) {}
  void for_each(const std::function<void(const xp::Document&)>& visit) const override {
    for (const auto& part : parts_) part->for_each(visit);
  }
  std::string fingerprint() const override {
    std::string all;
    for (const auto& part : parts_) all += part->fingerprint();
    return all;
  }

 private:
  std::vector<std::shared_ptr<const xp::DataSource>> parts_;
};

/// Trains one vector per word, or per token, from text.
class TrainStaticVectors final : public xp::Stage {
 public:
  struct Params {
    std::unique_ptr<xp::Fitter> method;
    std::vector<xp::Reference> corpus;
    std::optional<xp::Reference> tokenizer;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::method, "method", "The algorithm and its settings.").required();
      f.add(&Params::corpus, "corpus", "Text, from one dataset or several.").artifact("dataset").required();
      f.add(&Params::tokenizer, "tokenizer",
            "Its tokens are the words, by their strings (\"▁the\"), for initializers that compare tokens.")
          .artifact("tokenizer");
      f.gives("output", "vectors", "static_vectors");
      f.gives("metric", "words", "words");
      f.draws();
    }
  };
  explicit TrainStaticVectors(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    std::vector<std::shared_ptr<const xp::DataSource>> parts;
    for (const auto& reference : p_.corpus) parts.push_back(context.documents(reference));
    std::shared_ptr<const xp::Encoder> encoder;
    if (p_.tokenizer) encoder = context.tokenizer(*p_.tokenizer);
    context.progress(0, 1, "training vectors");
    const auto state = p_.method->fit(Joined(std::move(parts)), encoder.get(), nullptr, context.random());
    context.save(state);
    context.recorder().metric("words", static_cast<double>(state.strings("words").size()), {.unit = "words"});
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(train_static_vectors) {
  registry.add<TrainStaticVectors>("train_static_vectors", "Trains one vector per word, or per token, from text.");
}
