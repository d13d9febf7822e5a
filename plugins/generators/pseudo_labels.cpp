#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "api/generator.h"
#include "api/tensor.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

constexpr const char* kConfidence = "confidence";

/// Documents with the class that a model thinks likeliest in the place of a label (pseudo-labels, Lee 2013), and its
/// probability max_c exp(s_c) / sum_k exp(s_k) as their confidence. What is less sure than `least` is left out.
class PseudoLabels final : public xp::Generator {
 public:
  struct Params {
    xp::Reference predictions;
    std::string field = "label";
    double least = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::predictions, "predictions",
            "Scores of the documents' classes, which a stage `store_predictions` made.")
          .artifact("predictions")
          .required();
      f.add(&Params::field, "field",
            "Field that was predicted and gets the likeliest class; of equal ones the first.");
      f.add(&Params::least, "least", "Smallest probability of the likeliest class with which a document is kept.")
          .min(0)
          .max(1);
      f.gives("field", "text"), f.gives("field", kConfidence);
      f.gives("field", "label", {}, {{"field", {"label"}}});
    }
  };
  explicit PseudoLabels(Params params) : p_(std::move(params)) {
    if (p_.field == kConfidence)
      throw xp::Error("`field` is `confidence`, which holds how sure the model is; name another", xp::Exit::usage);
  }

  /// Takes the scores as the part `predictions`.
  void load(const xp::State& state) override {
    const auto& all = state.child("predictions");
    const auto fields = all.child_names();
    if (std::find(fields.begin(), fields.end(), p_.field) == fields.end())
      throw wrong("is of " + xp::listed(fields) + ", not of " + xp::backquoted(p_.field));
    const auto& one = all.child(p_.field);
    const auto &ids = one.strings("id"), &classes = one.strings("classes");
    const auto scores = one.tensor("scores").to(at::kCPU).to(at::kDouble).contiguous();
    if (scores.dim() != 2 || scores.size(0) != std::ssize(ids) || scores.size(1) != std::ssize(classes) ||
        classes.empty())
      throw wrong("has not one row of scores per document and one column per class");
    if (std::set(classes.begin(), classes.end()).size() != classes.size())
      throw wrong("has a class twice: " + xp::listed(classes));
    const auto* from = scores.const_data_ptr<double>();
    classes_ = classes, labels_.clear();
    for (const auto& id : ids) {
      if (!labels_.emplace(id, likeliest(id, from, classes.size())).second)
        throw wrong("has document " + xp::backquoted(id) + " twice");
      from += classes.size();
    }
  }

  std::vector<xp::Document> generate(const xp::Document& from, xp::Backend&, xp::RandomStream) override {
    if (classes_.empty()) throw xp::Error("`pseudo_labels` has not got its predictions");
    const auto found = labels_.find(from.id);
    if (found == labels_.end())
      throw wrong("lacks document " + xp::backquoted(from.id) + "; predict the same data and split");
    const auto& [name, probability] = found->second;
    if (probability < p_.least) return {};
    auto out = from;
    out.fields[p_.field] = classes_[name], out.fields[kConfidence] = xp::number_text(probability);
    return {std::move(out)};
  }

 private:
  struct Label {
    std::size_t name = 0;  ///< place in `classes_`
    double probability = 0;
  };

  Label likeliest(const std::string& id, const double* scores, std::size_t classes) const {
    if (!std::all_of(scores, scores + classes, [](double s) { return std::isfinite(s); }))
      throw wrong("has a score of document " + xp::backquoted(id) + " that is no number");
    const auto* best = std::max_element(scores, scores + classes);
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(scores[c] - *best);
    return {static_cast<std::size_t>(best - scores), 1 / sum};
  }

  xp::Error wrong(const std::string& why) const {
    return xp::Error("`predictions` " + xp::backquoted(p_.predictions.text) + " " + why, xp::Exit::data);
  }

  Params p_;
  xp::Strings classes_;
  std::unordered_map<std::string, Label> labels_;  ///< by document id
};

}  // namespace

XP_PLUGIN(pseudo_labels) {
  registry.add<PseudoLabels>("pseudo_labels", "Documents labelled with what a model predicts of them.");
}
