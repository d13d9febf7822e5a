#include <algorithm>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/text.h"
#include "kit/class_counts.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::int64_t kUnseen = -1;  ///< class of a label that training did not have

/// Accuracy, macro F1 = mean over classes that occur or are predicted of 2 right / (gold + predicted), and the share
/// of the most frequent class as the floor. Equal scores count against the model.
class Classification final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "label";
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Labelled documents.").artifact("dataset").evaluates().required();
      f.add(&Params::field, "field", "Field that holds the class.");
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.gives("metric", "accuracy", "share");
      f.gives("metric", "macro_f1", "share");
      f.gives("metric", "majority", "share");
      f.gives("metric", "normalised", "share");  // accuracy over the majority, of what is possible
    }
  };
  explicit Classification(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.can("predict")) throw Error("the model does not classify; fine-tune it with an objective that does");
    const auto& classes = subject.categories(p_.field);
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    ClassCounts counts;
    Batch batch;
    while (reader->next(batch)) {
      const auto scores = subject.predict(batch, p_.field).to(at::kDouble).contiguous();
      if (scores.dim() != 2 || scores.size(0) != batch.items() || scores.size(1) != std::ssize(classes) ||
          classes.empty())
        throw Error("the model gives scores of another shape than [items, " + std::to_string(classes.size()) + "]");
      const auto labels = gold(batch, classes);
      const auto& ids = batch.strings("id");
      for (std::size_t i = 0; i < labels.size(); ++i) {
        const auto* row = scores.const_data_ptr<double>() + static_cast<std::int64_t>(i) * scores.size(1);
        const bool hit = counts.add({row, classes.size()}, labels[i]);
        context.recorder().item("documents", ids[i], "accuracy", hit ? 1 : 0);
      }
    }
    if (counts.items() == 0) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    record(counts, context.recorder());
  }

 private:
  std::vector<std::int64_t> gold(const Batch& batch, const Strings& classes) const {
    const auto column = batch.columns().find(p_.field);
    if (column != batch.columns().end() && std::holds_alternative<Strings>(column->second)) {
      std::vector<std::int64_t> labels;
      for (const auto& name : std::get<Strings>(column->second)) {
        const auto at = std::find(classes.begin(), classes.end(), name);
        labels.push_back(at == classes.end() ? kUnseen : at - classes.begin());
      }
      return labels;
    }
    const auto labels = batch.dense(p_.field).to(at::kLong).contiguous();
    if (labels.dim() != 1) throw Error("field " + backquoted(p_.field) + " is not one class per document");
    const auto* from = labels.const_data_ptr<std::int64_t>();
    return {from, from + labels.numel()};
  }

  void record(const ClassCounts& counts, Recorder& recorder) const {
    const MetricSignature what{"share", {}, p_.data.text, "1"};
    recorder.metric("accuracy", counts.accuracy(), what);
    recorder.metric("macro_f1", counts.macro_f1(), what);
    recorder.metric("majority", counts.majority(), what);
    recorder.metric("normalised", counts.normalised(), what);
    if (const auto unseen = counts.items_of(kUnseen); unseen > 0)
      recorder.note(count(static_cast<std::size_t>(unseen), "document") + " of " + backquoted(p_.data.text) +
                    " have a label that training did not have; they count as wrong");
  }

  Params p_;
};

}  // namespace
}  // namespace xp

// The name of the library differs from the type: an objective's library has that name.
XP_PLUGIN(classification_evaluator) {
  registry.add<xp::Classification>("classification", "Accuracy and macro F1 of a model that classifies documents.");
}
