#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/text.h"
#include "kit/ranks.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

using Numbers = std::vector<double>;

double mean_of(const Numbers& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Numbers products(Numbers a, const Numbers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}

/// Numbers that differ by less than float32 tells apart are equal; they are finite.
Numbers rounded(Numbers values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  const double step = largest * 1e-6;
  if (step > 0)
    for (auto& value : values) value = std::round(value / step) * step;
  return values;
}

bool finite(const Numbers& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// Documents with what was measured of them and what the model predicts.
struct Seen {
  Strings ids;
  Numbers measured, predicted;
};

/// How near a model comes to a number of each document: the correlation of Pearson 1895 and that of ranks of Spearman
/// 1904, with average ranks for ties, and sqrt(mean (f(x) - y)^2) in the field's own unit. Both correlations are
/// means over documents of products of standardised numbers, which are the items; those of `rmse` and `floor` are
/// squares.
class Regression final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "score";
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with a number each.").artifact("dataset").evaluates().required();
      f.add(&Params::field, "field", "Field that holds the number.");
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to measure; 0: all.").min(0);
      f.needs("field", "score", {{"field", {"score"}}});
      f.gives("metric", "pearson", "correlation");
      f.gives("metric", "spearman", "correlation");
      f.gives("metric", "rmse", "units of the field");
      f.gives("metric", "floor", "units of the field");  // rmse of the mean of the measured documents
    }
  };
  explicit Regression(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.can("predict"))
      throw Error("the model predicts no number; fine-tune it with an objective that does");
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    Seen seen;
    Batch batch;
    while (reader->next(batch)) add(batch, subject, seen);
    if (seen.ids.empty()) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    record(seen, context.recorder());
  }

 private:
  void add(const Batch& batch, Handle& subject, Seen& seen) const {
    const auto wanted = measured(batch);
    const auto given = subject.predict(batch, p_.field);
    if (given.dim() != 2 || given.size(0) != batch.items() || given.size(1) != 1)
      throw Error("the model gives scores of another shape than [items, 1]; a number is one output per document");
    const auto numbers = given.to(at::kDouble).contiguous();
    const auto& ids = batch.strings("id");
    seen.ids.insert(seen.ids.end(), ids.begin(), ids.end());
    seen.measured.insert(seen.measured.end(), wanted.begin(), wanted.end());
    const auto* from = numbers.const_data_ptr<double>();
    seen.predicted.insert(seen.predicted.end(), from, from + numbers.numel());
  }

  Numbers measured(const Batch& batch) const {
    const auto column = batch.columns().find(p_.field);
    if (column == batch.columns().end()) throw lacks(batch, 0);
    Numbers out;
    if (const auto* texts = std::get_if<Strings>(&column->second)) {
      for (std::size_t i = 0; i < texts->size(); ++i) out.push_back(number_in((*texts)[i], batch, i));
    } else {
      const auto values = batch.dense(p_.field).to(at::kDouble).contiguous();
      if (values.dim() != 1) throw Error("field " + backquoted(p_.field) + " is not one number per document");
      out.assign(values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
      for (std::size_t i = 0; i < out.size(); ++i)
        if (!std::isfinite(out[i])) throw no_number(number_text(out[i]), batch, i);
    }
    return out;
  }

  double number_in(const std::string& text, const Batch& batch, std::size_t item) const {
    const auto clean = trim(text);
    if (clean.empty()) throw lacks(batch, item);
    double value = 0;
    const auto [end, failure] = std::from_chars(clean.data(), clean.data() + clean.size(), value);
    if (failure != std::errc() || end != clean.data() + clean.size() || !std::isfinite(value))
      throw no_number(clean, batch, item);
    return value;
  }

  std::string document(const Batch& batch, std::size_t item) const {
    return "document " + backquoted(batch.strings("id").at(item)) + " of " + backquoted(p_.data.text);
  }
  Error lacks(const Batch& batch, std::size_t item) const {
    return Error(document(batch, item) + " has no field " + backquoted(p_.field) + "; a number is needed",
                 Exit::data);
  }
  Error no_number(std::string_view text, const Batch& batch, std::size_t item) const {
    return Error("field " + backquoted(p_.field) + " of " + document(batch, item) +
                     " is no number: " + backquoted(printable(utf8_slice(text, 0, 40))),
                 Exit::data);
  }

  void record(const Seen& seen, Recorder& recorder) const {
    const auto& data = p_.data.text;
    const auto wanted = standardised(seen.measured);
    if (std::all_of(wanted.begin(), wanted.end(), [](double z) { return z == 0; }))
      throw Error("all documents of " + backquoted(data) + " have the same " + backquoted(p_.field) +
                      "; a correlation needs at least two values",
                  Exit::data);
    // Without an order of all documents there is no correlation.
    Numbers found(seen.ids.size(), std::numeric_limits<double>::quiet_NaN()), ranks = found;
    if (finite(seen.predicted)) {
      const auto predicted = rounded(seen.predicted);
      found = standardised(predicted), ranks = standardised(average_ranks(predicted));
      if (std::all_of(found.begin(), found.end(), [](double z) { return z == 0; }))
        recorder.note("the model predicts the same number of all documents of " + backquoted(data) +
                      "; that is counted as no correlation");
    }
    const double mean = mean_of(seen.measured);
    Numbers errors, floor;
    for (std::size_t i = 0; i < seen.ids.size(); ++i) {
      errors.push_back(std::pow(seen.predicted[i] - seen.measured[i], 2));
      floor.push_back(std::pow(mean - seen.measured[i], 2));
    }
    const auto keep = [&](const char* metric, const Numbers& items, bool root) {
      for (std::size_t i = 0; i < items.size(); ++i) recorder.item("documents", seen.ids[i], metric, items[i]);
      const double value = mean_of(items);
      recorder.metric(metric, root ? std::sqrt(value) : value,
                      {root ? "units of the field" : "correlation", {}, data, "1"});
    };
    keep("pearson", products(wanted, found), false);
    keep("spearman", products(standardised(average_ranks(seen.measured)), ranks), false);
    keep("rmse", errors, true);
    keep("floor", floor, true);
    for (std::size_t i = 0; i < seen.ids.size(); ++i) {
      recorder.item("documents", seen.ids[i], "predicted", seen.predicted[i]);
      recorder.item("documents", seen.ids[i], "measured", seen.measured[i]);
    }
  }

  Params p_;
};

}  // namespace
}  // namespace xp

// The name of the library differs from the type: an objective's library has that name.
XP_PLUGIN(regression_evaluator) {
  registry.add<xp::Regression>("regression",
                               "Correlations and error of a model that predicts a number of documents.");
}
