#include <algorithm>
#include <map>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::int64_t kUnseen = -1;  ///< class of a label that training did not have

struct Counts {
  std::int64_t gold = 0, predicted = 0, right = 0;
};

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
    std::map<std::int64_t, Counts> counts;
    std::int64_t items = 0, right = 0;
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
        const auto best = predicted({row, classes.size()}, labels[i]);
        const bool hit = best == labels[i];
        ++items, right += hit;
        ++counts[labels[i]].gold, ++counts[best].predicted, counts[best].right += hit;
        context.recorder().item("documents", ids[i], "accuracy", hit ? 1 : 0);
      }
    }
    if (items == 0) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    record(counts, items, right, context.recorder());
  }

 private:
  /// The class with the largest score; one that is not the label, if several are not smaller than the label's.
  static std::int64_t predicted(std::span<const double> scores, std::int64_t label) {
    std::int64_t best = label;
    for (std::int64_t c = 0; c < std::ssize(scores); ++c) {
      if (c == label) continue;
      // Not "greater or equal": a score that is no number must count against the model.
      const auto at = static_cast<std::size_t>(c);
      if (best == kUnseen || !(scores[at] < scores[static_cast<std::size_t>(best)])) best = c;
    }
    return best;
  }

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

  void record(const std::map<std::int64_t, Counts>& counts, std::int64_t items, std::int64_t right,
              Recorder& recorder) const {
    double f1 = 0;
    std::int64_t most = 0;
    for (const auto& [label, n] : counts) {
      f1 += 2.0 * static_cast<double>(n.right) / static_cast<double>(n.gold + n.predicted);
      most = std::max(most, n.gold);
    }
    const MetricSignature what{"share", {}, p_.data.text, "1"};
    const auto all = static_cast<double>(items);
    recorder.metric("accuracy", static_cast<double>(right) / all, what);
    recorder.metric("macro_f1", f1 / static_cast<double>(counts.size()), what);
    recorder.metric("majority", static_cast<double>(most) / all, what);
    const double room = static_cast<double>(items - most);
    recorder.metric("normalised", room > 0 ? static_cast<double>(right - most) / room : 0.0, what);
    if (const auto unseen = counts.find(kUnseen); unseen != counts.end())
      recorder.note(count(static_cast<std::size_t>(unseen->second.gold), "document") + " of " +
                    backquoted(p_.data.text) + " have a label that training did not have; they count as wrong");
  }

  Params p_;
};

}  // namespace
}  // namespace xp

// The name of the library differs from the type: an objective's library has that name.
XP_PLUGIN(classification_evaluator) {
  registry.add<xp::Classification>("classification", "Accuracy and macro F1 of a model that classifies documents.");
}
