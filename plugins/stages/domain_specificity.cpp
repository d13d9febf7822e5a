#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "api/stage.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

constexpr std::size_t kFewest = 3;  ///< tasks that a slope needs

struct Measured {
  double value = 0;
  xp::MetricSignature what;
};

/// Keeps metrics instead of recording them.
class Kept final : public xp::Recorder {
 public:
  void point(std::string_view, double, const xp::Counters&, const xp::MetricSignature&) override {}
  void metric(std::string_view name, double value, const xp::MetricSignature& what) override {
    metrics.insert_or_assign(std::string(name), Measured{value, what});
  }
  void item(std::string_view, std::string_view, std::string_view, double) override {}
  void ledger(std::string_view, const std::vector<std::string>&, const std::vector<std::string>&) override {}
  void counters(const xp::Counters&) override {}
  void note(std::string_view text) override { notes.emplace_back(text); }
  std::map<std::string, Measured, std::less<>> metrics;
  std::vector<std::string> notes;
};

/// An evaluator's context whose numbers stay here.
class KeptContext final : public xp::EvaluationContext {
 public:
  KeptContext(xp::EvaluationContext& outer, Kept& kept) : outer_(outer), kept_(kept) {}
  std::unique_ptr<xp::BatchReader> read(const xp::Reference& data, const xp::ReadRequest& request) override {
    return outer_.read(data, request);
  }
  std::shared_ptr<const xp::DataSource> documents(const xp::Reference& data) override {
    return outer_.documents(data);
  }
  std::shared_ptr<const xp::Encoder> tokenizer(const xp::Reference& artifact) override {
    return outer_.tokenizer(artifact);
  }
  const xp::RandomStreams& random() const override { return outer_.random(); }
  xp::Recorder& recorder() override { return kept_; }

 private:
  xp::EvaluationContext& outer_;
  Kept& kept_;
};

class Quiet final : public xp::Evaluator {
 public:
  Quiet(xp::Evaluator& inner, Kept& kept) : inner_(inner), kept_(kept) {}
  void evaluate(xp::Handle& subject, xp::EvaluationContext& context) override {
    KeptContext quiet(context, kept_);
    inner_.evaluate(subject, quiet);
  }

 private:
  xp::Evaluator& inner_;
  Kept& kept_;
};

/// Slope of the least-squares line and Pearson's correlation of y over x; no number where one of them is constant.
struct Line {
  double slope = 0, correlation = 0;
};
Line line_of(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  const double mx = std::accumulate(x.begin(), x.end(), 0.0) / n, my = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my), xy += (x[i] - mx) * (y[i] - my);
  return {xy / xx, xy / std::sqrt(xx * yy)};
}

/// Domain specificity of tasks (Zheng, Guha, Anderson, Henderson and Ho 2021, "When Does Pretraining Help?", section
/// 5): the loss of a general model on a task's text less that of a model of the domain, both frozen. With the task's
/// scores after fine-tuning each of them, also how the gain follows it.
class DomainSpecificity final : public xp::Stage {
 public:
  struct Task {
    std::string id;
    std::unique_ptr<xp::Evaluator> loss, score;
    std::optional<xp::Reference> tuned, general_tuned;
    static void describe(xp::Fields<Task>& f) {
      f.add(&Task::id, "id", "Name of the task.").required();
      f.add(&Task::loss, "loss", "Evaluator of the loss on the task's text.").required();
      f.add(&Task::score, "score", "Evaluator of the task; none: no gain is computed.");
      f.add(&Task::tuned, "tuned", "`model` after fine-tuning on the task.").artifact("checkpoint");
      f.add(&Task::general_tuned, "general_tuned", "`general` after fine-tuning on the task.").artifact("checkpoint");
    }
  };
  struct Params {
    xp::Reference model, general;
    std::vector<Task> tasks;
    std::string loss_metric = "bits", score_metric = "macro_f1";
    bool shuffle = false;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "The model of the domain, before any fine-tuning.")
          .artifact("checkpoint")
          .required();
      f.add(&Params::general, "general", "The model without the domain.").artifact("checkpoint").required();
      f.add(&Params::tasks, "tasks", "Tasks near and far.").required();
      f.add(&Params::loss_metric, "loss_metric", "Metric of `loss`; lower is better.");
      f.add(&Params::score_metric, "score_metric", "Metric of `score`; higher is better.");
      f.add(&Params::shuffle, "shuffle",
            "Negative control: specificities change places among the tasks before the line is fitted.");
      f.gives("metric", "specificity"), f.gives("metric", "gain");
      f.gives("metric", "slope"), f.gives("metric", "correlation");
      f.draws();
    }
  };
  explicit DomainSpecificity(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    const auto scored = check();
    const auto domain = context.handle(p_.model), general = context.handle(p_.general);
    std::vector<double> specificity, gain;
    auto& out = context.recorder();
    for (auto& task : p_.tasks) {
      const auto ours = measure(context, *domain, task.id, *task.loss, p_.loss_metric),
                 theirs = measure(context, *general, task.id, *task.loss, p_.loss_metric);
      if (ours.what != theirs.what)
        throw xp::Error("the losses of task " + xp::backquoted(task.id) +
                        " are unlike numbers: the models have different tokenizers, so use bits per byte");
      specificity.push_back(theirs.value - ours.value);
      record(out, "specificity", task.id, specificity.back(), ours.what);
      if (!scored) continue;
      const auto after = measure(context, *context.handle(*task.tuned), task.id, *task.score, p_.score_metric),
                 before =
                     measure(context, *context.handle(*task.general_tuned), task.id, *task.score, p_.score_metric);
      if (after.what != before.what)
        throw xp::Error("the scores of task " + xp::backquoted(task.id) + " are unlike numbers");
      gain.push_back(after.value - before.value);
      record(out, "gain", task.id, gain.back(), after.what);
    }
    if (scored) fit(specificity, gain, context);
  }

 private:
  /// Whether every task has what a gain needs.
  bool check() const {
    if (p_.tasks.empty()) throw xp::Error("`tasks` is empty; name at least one", xp::Exit::usage);
    std::size_t scored = 0;
    for (const auto& task : p_.tasks) {
      const int given = (task.score ? 1 : 0) + (task.tuned ? 1 : 0) + (task.general_tuned ? 1 : 0);
      if (given != 0 && given != 3)
        throw xp::Error("task " + xp::backquoted(task.id) +
                            " has some of `score`, `tuned` and `general_tuned`; a gain needs all three",
                        xp::Exit::usage);
      scored += given == 3;
      const auto same =
          std::count_if(p_.tasks.begin(), p_.tasks.end(), [&](const Task& other) { return other.id == task.id; });
      if (same != 1) throw xp::Error("two tasks have the id " + xp::backquoted(task.id), xp::Exit::usage);
    }
    if (scored != 0 && (scored != p_.tasks.size() || scored < kFewest))
      throw xp::Error(std::to_string(scored) + " of " + xp::count(p_.tasks.size(), "task") +
                          " are scored; a line needs all of them, and at least " + std::to_string(kFewest),
                      xp::Exit::usage);
    return scored != 0;
  }

  static Measured measure(xp::StageContext& context, xp::Handle& subject, const std::string& task,
                          xp::Evaluator& evaluator, const std::string& metric) {
    Kept kept;
    std::vector<xp::NamedEvaluator> one;
    one.push_back({task, std::make_unique<Quiet>(evaluator, kept)});
    context.evaluate(subject, one);
    for (const auto& note : kept.notes) context.recorder().note(task + ": " + note);
    const auto found = kept.metrics.find(metric);
    if (found != kept.metrics.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [name, value] : kept.metrics) names.push_back(name);
    throw xp::Error("evaluator " + xp::backquoted(evaluator.type()) + " of task " + xp::backquoted(task) +
                        " gives no " + xp::backquoted(metric) + ", but " + xp::listed(names),
                    xp::Exit::usage);
  }

  static void record(xp::Recorder& out, const std::string& metric, const std::string& task, double value,
                     xp::MetricSignature what) {
    what.version = "1, of version " + what.version;
    out.metric(metric + "[" + task + "]", value, what);
    out.item("tasks", task, metric, value);
  }

  void fit(std::vector<double> specificity, const std::vector<double>& gain, xp::StageContext& context) const {
    if (p_.shuffle) {  // Durstenfeld 1964, algorithm 235
      auto random = context.random().child("shuffle").stream();
      for (auto i = std::ssize(specificity) - 1; i > 0; --i)
        std::swap(specificity[static_cast<std::size_t>(i)],
                  specificity[static_cast<std::size_t>(random.below(i + 1))]);
    }
    const auto line = line_of(specificity, gain);
    if (!std::isfinite(line.slope))
      throw xp::Error("all tasks have the same specificity, so no line can be fitted; is `general` the same model?");
    auto& out = context.recorder();
    out.metric("slope", line.slope, {.unit = p_.score_metric + " per " + p_.loss_metric, .version = "1"});
    if (std::isfinite(line.correlation))
      out.metric("correlation", line.correlation, {.unit = "correlation", .version = "1"});
    else
      out.note("all gains are equal, so they have no correlation");
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(domain_specificity) {
  registry.add<DomainSpecificity>("domain_specificity",
                                  "How much better a model of a domain predicts tasks' text, and what that gains.");
}
