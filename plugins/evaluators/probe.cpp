#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/tensors.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr int kSteps = 2000;          ///< of the logistic fit, at most
constexpr double kFlat = 1e-6;        ///< largest slope at which it has converged
constexpr double kTie = 1e-6;         ///< cosines and scores that differ by less are equal
constexpr std::int64_t kUnseen = -1;  ///< class of a label that training does not have

/// Features of one split with its classes by number.
struct Split {
  at::Tensor features;  // [items, width], float64
  std::vector<std::int64_t> labels;
  Strings ids;
};

using Scores = std::function<at::Tensor(const at::Tensor& features)>;  // [n, width] -> [n, classes]

/// Features less their mean, by their standard deviation over the training split, and a last column of ones.
class Scale {
 public:
  explicit Scale(const at::Tensor& x) : mean_(x.mean(0)), sd_(x.sub(x.mean(0)).square().mean(0).sqrt()) {
    sd_ = sd_.masked_fill(sd_ < 1e-8, 1);
  }
  at::Tensor operator()(const at::Tensor& x) const {
    return ops::cat({x.sub(mean_).div(sd_), x.new_ones({x.size(0), 1})}, 1);
  }

 private:
  at::Tensor mean_, sd_;
};

at::Tensor one_hot(const std::vector<std::int64_t>& labels, std::int64_t classes) {
  auto out = ops::zeros({std::ssize(labels), classes}, at::kDouble);
  for (std::int64_t i = 0; i < std::ssize(labels); ++i)
    out.mutable_data_ptr<double>()[i * classes + labels[static_cast<std::size_t>(i)]] = 1;
  return out;
}

/// (factor X'X / n + penalty on all weights but that of the last column)^-1.
at::Tensor inverse_of(const at::Tensor& x, double factor, double penalty) {
  auto gram = x.t().matmul(x).mul(factor / static_cast<double>(x.size(0)));
  auto diagonal = gram.diagonal();
  diagonal.narrow(0, 0, x.size(1) - 1).add_(penalty);
  return gram.inverse();
}

/// Least squares to indicators of the classes with penalty |w|^2 (Hoerl and Kennard 1970), bias left free:
/// W = (X'X / n + penalty)^-1 X'Y / n.
Scores ridge(const at::Tensor& features, const at::Tensor& y, double penalty) {
  const Scale scale(features);
  const auto x = scale(features);
  const auto w = inverse_of(x, 1, penalty).matmul(x.t().matmul(y).div(static_cast<double>(x.size(0))));
  return [scale, w](const at::Tensor& other) { return scale(other).matmul(w); };
}

/// Multinomial logistic regression: mean cross-entropy + penalty / 2 |w|^2, bias left free. X'X / 2n bounds the
/// curvature (Böhning 1992), so that steps by its inverse with penalty never overshoot; they are accelerated
/// (Nesterov 1983) and start anew where the slope turns against them (O'Donoghue and Candès 2015).
Scores logistic(const at::Tensor& features, const at::Tensor& y, double penalty, bool& converged) {
  const Scale scale(features);
  const auto x = scale(features);
  const auto n = static_cast<double>(x.size(0));
  const auto inverse = inverse_of(x, 0.5, penalty);
  auto decay = ops::full({x.size(1), 1}, penalty, at::kDouble);
  decay[x.size(1) - 1].fill_(0);
  auto w = ops::zeros({x.size(1), y.size(1)}, at::kDouble), ahead = w;
  converged = false;
  double momentum = 1;
  for (int step = 0; step < kSteps && !converged; ++step) {
    const auto slope = x.t().matmul(x.matmul(ahead).softmax(1) - y).div(n) + decay * ahead;
    const auto next = ahead - inverse.matmul(slope);
    converged = slope.abs().max().item<double>() < kFlat;
    if ((slope * (next - w)).sum().item<double>() > 0) momentum = 1;
    const double later = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    ahead = next + (momentum - 1) / later * (next - w);
    w = next, momentum = later;
  }
  return [scale, w](const at::Tensor& other) { return scale(other).matmul(w); };
}

/// Votes of the k nearest training items by cosine (Cover and Hart 1967). Of classes with equal votes the one with
/// the larger sum of cosines leads, by less than a vote.
Scores nearest_neighbours(const at::Tensor& features, const at::Tensor& y, std::int64_t k) {
  const auto unit = [](const at::Tensor& x) { return x.div(x.norm(2, {1}, true).clamp_min(1e-12)); };
  const auto train = unit(features);
  k = std::min(k, train.size(0));
  return [unit, train, y, k](const at::Tensor& other) {
    const auto cosines = unit(other).matmul(train.t()).div(kTie).round().mul(kTie);
    const auto order = cosines.argsort(true, 1, true).narrow(1, 0, k);  // stable: of equal ones the first
    const auto near = y.index_select(0, order.flatten()).view({other.size(0), k, y.size(1)});
    const auto weights = cosines.gather(1, order).unsqueeze(-1);
    return near.sum(1) + (near * weights).sum(1) / static_cast<double>(2 * k + 1);
  };
}

/// True for each item whose class has a score above all others: equal ones and those that are no number do not.
std::vector<bool> hits(const Scores& scores, const Split& split) {
  const auto all = scores(split.features).div(kTie).round().contiguous();
  const auto classes = all.size(1);
  std::vector<bool> out;
  for (std::int64_t i = 0; i < all.size(0); ++i) {
    const auto label = split.labels[static_cast<std::size_t>(i)];
    const auto* row = all.const_data_ptr<double>() + i * classes;
    bool hit = label != kUnseen;
    for (std::int64_t c = 0; c < classes && hit; ++c) hit = c == label || row[c] < row[label];
    out.push_back(hit);
  }
  return out;
}

/// Durstenfeld 1964, algorithm 235.
void shuffle(std::vector<std::int64_t>& labels, RandomStream random) {
  for (auto i = std::ssize(labels) - 1; i > 0; --i)
    std::swap(labels[static_cast<std::size_t>(i)], labels[static_cast<std::size_t>(random.below(i + 1))]);
}

double share(const std::vector<bool>& hits) {
  return static_cast<double>(std::count(hits.begin(), hits.end(), true)) / static_cast<double>(hits.size());
}

/// What a simple classifier reads from frozen features (Alain and Bengio 2017), with two floors: the same procedure
/// after the labels of training and dev are shuffled, and the class that is most frequent in training.
class Probe final : public Evaluator {
 public:
  enum class Classifier : std::uint8_t { logistic, ridge, knn };
  struct Params {
    Reference train, dev, data;
    std::string field = "label";
    Classifier kind = Classifier::logistic;
    std::vector<double> grid;
    Pooling pooling = Pooling::mean;
    std::int64_t layer = 0, max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      const auto documents = [&](Reference Params::*member, const char* name, const char* doc) {
        return f.add(member, name, doc).artifact("dataset").required();
      };
      documents(&Params::train, "train", "Labelled documents that the classifier is fitted on.");
      documents(&Params::dev, "dev", "Labelled documents that choose from `grid`.").evaluates();
      documents(&Params::data, "data", "Labelled documents that are measured.").evaluates();
      f.add(&Params::field, "field", "Field that holds the class.");
      f.add(&Params::kind, "kind", "Logistic regression, ridge regression to the classes, or nearest neighbours.",
            {{"logistic", Classifier::logistic}, {"ridge", Classifier::ridge}, {"knn", Classifier::knn}});
      f.add(&Params::grid, "grid",
            "What is tried: penalties, or numbers of neighbours; none: 0.001 to 10 by tens, and 1, 5, 20.")
          .min(1e-9);
      f.add(&Params::pooling, "pooling", "Which output stands for a document; `own` is the model's own way.",
            {{"first", Pooling::first}, {"mean", Pooling::mean}, {"last", Pooling::last}, {"own", Pooling::own}});
      f.add(&Params::layer, "layer", "Layer whose output is read; 0: the last.").min(0);
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents of each split that are read; 0: all.").min(0);
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      for (const char* name : {"accuracy", "shuffled_labels", "majority"}) f.gives("metric", name, "share");
    }
  };
  explicit Probe(Params params) : p_(std::move(params)) {
    if (p_.grid.empty())
      p_.grid =
          p_.kind == Classifier::knn ? std::vector<double>{1, 5, 20} : std::vector<double>{0.001, 0.01, 0.1, 1, 10};
    std::sort(p_.grid.begin(), p_.grid.end());
    if (p_.kind != Classifier::knn) return;
    for (const auto k : p_.grid)
      if (k != std::floor(k) || k > 1e9)
        throw Error("`grid` of nearest neighbours holds whole numbers, found " + number_text(k), Exit::usage);
  }

  void evaluate(Handle& subject, EvaluationContext& context) override {
    names_.clear();
    auto train = read(subject, context, p_.train, true), dev = read(subject, context, p_.dev, false);
    const auto test = read(subject, context, p_.data, false);
    const auto classes = std::ssize(names_);
    if (classes < 2)
      throw Error("documents of " + backquoted(p_.train.text) + " all have the same " + backquoted(p_.field) +
                      "; a probe needs at least two classes",
                  Exit::data);
    auto& recorder = context.recorder();
    std::string how;
    const auto own = hits(best(train, dev, how), test);
    std::vector<std::int64_t> frequent(static_cast<std::size_t>(classes));
    for (const auto label : train.labels) ++frequent[static_cast<std::size_t>(label)];
    const auto most = std::max_element(frequent.begin(), frequent.end()) - frequent.begin();
    const auto random = context.random().child("shuffled_labels");
    shuffle(train.labels, random.child("train").stream()), shuffle(dev.labels, random.child("dev").stream());
    std::string ignored;
    const auto shuffled = hits(best(train, dev, ignored), test);
    std::vector<bool> majority;
    for (const auto label : test.labels) majority.push_back(label == most);
    record("accuracy", own, test, recorder);
    record("shuffled_labels", shuffled, test, recorder);
    record("majority", majority, test, recorder);
    recorder.note("probe: " + how);
    if (const auto unseen = std::count(test.labels.begin(), test.labels.end(), kUnseen); unseen > 0)
      recorder.note(count(static_cast<std::size_t>(unseen), "document") + " of " + backquoted(p_.data.text) +
                    " have a label that training does not have; they count as wrong");
  }

 private:
  /// Fixes the classes if `names`.
  Split read(Handle& subject, EvaluationContext& context, const Reference& data, bool names) {
    std::map<std::string, std::string> label_of;
    context.documents(data)->for_each([&](const Document& document) {
      const auto found = document.fields.find(p_.field);
      if (found == document.fields.end() || found->second.empty())
        throw Error("document " + backquoted(document.id) + " of " + backquoted(data.text) + " has no field " +
                        backquoted(p_.field),
                    Exit::data);
      label_of[document.id] = found->second;
    });
    if (p_.layer > subject.shape().layers)
      throw Error("`layer` is " + std::to_string(p_.layer) + ", the model has " +
                  count(static_cast<std::size_t>(subject.shape().layers), "layer"));
    const auto reader = context.read(data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    Split out;
    std::vector<at::Tensor> parts;
    Batch batch;
    while (reader->next(batch)) {
      const auto pooled = subject.encode(batch, {.pooling = p_.pooling, .view = {.layers = p_.layer}}).pooled;
      parts.push_back(pooled.to(at::kDouble));
      for (const auto& id : batch.strings("id")) out.ids.push_back(id);
    }
    if (parts.empty()) throw Error(backquoted(data.text) + " has no documents", Exit::data);
    out.features = ops::cat(parts);
    if (!std::isfinite(out.features.abs().sum().item<double>()))
      throw Error("the model's outputs for " + backquoted(data.text) +
                  " are no finite numbers; nothing can be fitted");
    if (names)
      for (const auto& id : out.ids) names_.emplace(label_of.at(id), 0);
    std::int64_t next = 0;
    for (auto& [name, number] : names_) number = next++;
    for (const auto& id : out.ids) {
      const auto found = names_.find(label_of.at(id));
      out.labels.push_back(found == names_.end() ? kUnseen : found->second);
    }
    return out;
  }

  /// The classifier of the grid that is best on `dev`; of equal ones that with the larger penalty or more neighbours.
  Scores best(const Split& train, const Split& dev, std::string& how) const {
    const auto y = one_hot(train.labels, std::ssize(names_));
    Scores chosen;
    double highest = -1;
    for (const auto value : p_.grid) {
      bool converged = true;
      auto one = p_.kind == Classifier::knn ? nearest_neighbours(train.features, y, static_cast<std::int64_t>(value))
                 : p_.kind == Classifier::ridge ? ridge(train.features, y, value)
                                                : logistic(train.features, y, value, converged);
      const double right = share(hits(one, dev));
      if (right < highest) continue;
      highest = right, chosen = std::move(one);
      how = (p_.kind == Classifier::knn ? "neighbours " : "penalty ") + number_text(value) + ", accuracy " +
            number_text(right) + " on " + backquoted(p_.dev.text) +
            (converged ? "" : ", not converged after " + std::to_string(kSteps) + " steps");
    }
    return chosen;
  }

  void record(const char* name, const std::vector<bool>& hits, const Split& test, Recorder& recorder) const {
    for (std::size_t i = 0; i < hits.size(); ++i) recorder.item("documents", test.ids[i], name, hits[i] ? 1 : 0);
    recorder.metric(name, share(hits), {"share", {}, p_.data.text, "1"});
  }

  Params p_;
  std::map<std::string, std::int64_t> names_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(probe) {
  registry.add<xp::Probe>("probe", "Accuracy of a simple classifier on the frozen outputs of a model.");
}
