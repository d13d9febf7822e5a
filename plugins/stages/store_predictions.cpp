#include "api/batch.h"
#include "api/ops.h"
#include "api/stage.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

/// What a trained model says of each document, in the order of the data.
class Collect final : public xp::Evaluator {
 public:
  Collect(xp::Reference data, std::string field) : data_(std::move(data)), field_(std::move(field)) {}

  void evaluate(xp::Handle& subject, xp::EvaluationContext& context) override {
    if (!subject.can("predict"))
      throw xp::Error(
          "the model predicts nothing; train it with an objective that has a head, such as classification");
    classes = subject.categories(field_);
    const auto reader = context.read(data_, {.windows = false});
    xp::Batch batch;
    while (reader->next(batch)) {
      const auto scores = subject.predict(batch, field_).to(at::kFloat).contiguous();
      if (scores.dim() != 2 || scores.size(0) != batch.items() || scores.size(1) != std::ssize(classes))
        throw xp::Error("the model gives scores of another shape than [documents, " + std::to_string(classes.size()) +
                        "]: only whole documents can be predicted");
      rows.push_back(scores);
      const auto* id = batch.sample_id.const_data_ptr<std::int64_t>();
      sample_ids.insert(sample_ids.end(), id, id + batch.items());
      for (const auto& name : batch.strings("id")) ids.push_back(name);
    }
  }

  xp::Strings classes, ids;
  std::vector<std::int64_t> sample_ids;
  std::vector<at::Tensor> rows;

 private:
  xp::Reference data_;
  std::string field_;
};

/// Scores of each document, kept for stages that learn from them: a reference of a `train` stage reads them instead
/// of running the model, the generator `pseudo_labels` makes labels of them.
class Predict final : public xp::Stage {
 public:
  struct Params {
    xp::Reference model, data;
    std::string field = "label";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "The trained model.").artifact("checkpoint").required();
      f.add(&Params::data, "data", "Documents to predict, with their split.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::field, "field", "What is predicted: the field that the model was trained on.");
      f.gives("output", "predictions", "predictions");
      f.gives("metric", "documents", "documents");
      f.gives("metric", "confidence", "share");
    }
  };
  explicit Predict(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    const auto subject = context.handle(p_.model);
    std::vector<xp::NamedEvaluator> watchers;
    auto& seen = static_cast<Collect&>(
        *watchers.emplace_back("predictions", std::make_unique<Collect>(p_.data, p_.field)).part);
    context.evaluate(*subject, watchers);
    if (seen.rows.empty()) throw xp::Error(xp::backquoted(p_.data.text) + " has no documents", xp::Exit::data);
    const auto scores = xp::ops::cat(seen.rows);
    auto& recorder = context.recorder();
    recorder.metric("documents", static_cast<double>(scores.size(0)), {.unit = "documents"});
    recorder.metric("confidence", std::get<0>(scores.softmax(-1).max(-1)).mean().item<double>(), {.unit = "share"});
    xp::State out;
    auto& field = out.child(p_.field);
    field.set("sample_id", xp::Ints{seen.sample_ids});
    field.set("id", seen.ids), field.set("classes", seen.classes), field.set("scores", scores);
    context.save(out);
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(store_predictions) {
  registry.add<Predict>("store_predictions", "Keeps what a trained model says of each document.");
}
