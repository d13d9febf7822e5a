#include "api/fitter.h"
#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Computes an artifact from a training split: counts, clusters, lexicons.
class Fit final : public xp::Stage {
 public:
  struct Params {
    std::unique_ptr<xp::Fitter> method;
    xp::Reference corpus;
    std::optional<xp::Reference> tokenizer, model;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::method, "method", "What is computed.").required();
      f.add(&Params::corpus, "corpus", "Text; only a training split is taken.").artifact("dataset").required();
      f.add(&Params::tokenizer, "tokenizer", "For methods that look at tokens.").artifact("tokenizer");
      f.add(&Params::model, "model", "For methods that look at a trained model.").artifact("checkpoint");
      f.gives("output", "statistics", "statistics");
      f.draws();
    }
  };
  explicit Fit(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    if (p_.corpus.split != "train")
      throw xp::Error("a fitted artifact sees the training split only; `corpus` names " + p_.corpus.text);
    std::shared_ptr<const xp::Encoder> encoder;
    if (p_.tokenizer) encoder = context.tokenizer(*p_.tokenizer);
    std::unique_ptr<xp::Handle> subject;
    if (p_.model) subject = context.handle(*p_.model);
    context.progress(0, 1, "fitting");
    context.save(p_.method->fit(*context.documents(p_.corpus), encoder.get(), subject.get(), context.random()));
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(fit) { registry.add<Fit>("fit", "Computes an artifact from a training split."); }
