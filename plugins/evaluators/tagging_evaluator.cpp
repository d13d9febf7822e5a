#include "api/batch.h"
#include "api/evaluator.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/class_counts.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::int64_t kNone = -1;  ///< class of a token without a tag; below it: a tag that training did not have

/// Share of words whose first token gets the right tag, macro F1 and the share of the most frequent tag as the floor.
class Tagging final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "tag";
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with annotated words.").artifact("dataset").evaluates().required();
      f.add(&Params::field, "field", "Kind of the annotations that hold the tags.");
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.needs("field", "tag", {{"field", {"tag"}}});
      f.gives("metric", "accuracy", "share");
      f.gives("metric", "macro_f1", "share");
      f.gives("metric", "majority", "share");
    }
  };
  explicit Tagging(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.can("predict")) throw Error("the model does not tag; fine-tune it with an objective that does");
    classes_ = std::ssize(subject.categories(p_.field));
    counts_ = {};
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    Batch batch;
    while (reader->next(batch)) add(batch, subject.predict(batch, p_.field), context.recorder());
    record(context.recorder());
  }

 private:
  void add(const Batch& batch, const at::Tensor& given, Recorder& recorder) {
    const auto& tags = batch.dense(p_.field);
    if (given.dim() != 3 || given.size(0) != batch.items() || given.size(1) != tags.size(1) ||
        given.size(2) != classes_)
      throw Error("the model gives scores of another shape than [items, time, " + std::to_string(classes_) + "]");
    const auto scores = given.to(at::kDouble).contiguous(), first = first_of_words(batch.dense("word")).contiguous();
    const auto gold = tags.to(at::kLong).contiguous();
    const auto time = tags.size(1);
    for (std::int64_t item = 0; item < batch.items(); ++item) {
      std::int64_t words = 0, hits = 0;
      for (auto at = item * time; at < (item + 1) * time; ++at) {
        const auto tag = gold.const_data_ptr<std::int64_t>()[at];
        if (!first.const_data_ptr<bool>()[at] || tag == kNone) continue;
        const std::span row(scores.const_data_ptr<double>() + at * classes_, static_cast<std::size_t>(classes_));
        ++words, hits += counts_.add(row, tag);
      }
      if (words > 0)
        recorder.item("documents", batch.strings("id").at(static_cast<std::size_t>(item)), "accuracy",
                      static_cast<double>(hits) / static_cast<double>(words));
    }
  }

  void record(Recorder& recorder) const {
    if (counts_.items() == 0) throw Error(backquoted(p_.data.text) + " has no word with a " + p_.field, Exit::data);
    const MetricSignature what{"share", {}, p_.data.text, "1"};
    recorder.metric("accuracy", counts_.accuracy(), what);
    recorder.metric("macro_f1", counts_.macro_f1(), what);
    recorder.metric("majority", counts_.majority(), what);
  }

  Params p_;
  std::int64_t classes_ = 0;
  ClassCounts counts_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(tagging_evaluator) {
  registry.add<xp::Tagging>("tagging", "Accuracy and macro F1 of a class for each word.");
}
