#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/text.h"
#include "components.h"
#include "kit/ranks.h"
#include "pairs.h"
#include "ranks.h"
#include "vectors.h"

namespace xp::ranking {
namespace {

/// Spearman's rank correlation (Spearman 1904, with average ranks for ties) of the cosine of a pair's two vectors and
/// its graded score. It is the mean over pairs of the product of both standardised ranks, which is each pair's item.
class Similarity final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string score = "score";
    Pooling pooling = Pooling::mean;
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Pairs of texts: documents with `text_b`, or two of one group.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::score, "score", "Field that holds how similar a pair is, as a number.");
      Reading::describe(f, &Params::pooling, &Params::max_time);
      f.add(&Params::most, "most", "Pairs to measure; 0: all.").min(0);
      f.needs("field", "score", {{"score", {"score"}}});
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      f.gives("metric", "spearman", "correlation");
    }
  };
  explicit Similarity(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto& data = p_.data.text;
    auto pairs = pairs_of(*context.documents(p_.data), p_.score, data);
    keep_some(pairs, p_.most);
    std::vector<double> scores;
    for (const auto& pair : pairs) {
      if (!pair.score)
        throw Error("pair " + backquoted(pair.id) + " of " + backquoted(data) + " has no field " +
                        backquoted(p_.score) + " that says how similar its texts are",
                    Exit::data);
      scores.push_back(*pair.score);
    }
    const auto wanted = standardised(average_ranks(scores));
    if (std::all_of(wanted.begin(), wanted.end(), [](double z) { return z == 0; }))
      throw Error("all pairs of " + backquoted(data) + " have the same " + backquoted(p_.score) +
                      "; a correlation needs at least two grades",
                  Exit::data);
    auto& recorder = context.recorder();
    const auto cosines = cosines_of(subject, pairs);
    // Without an order of all pairs there is no correlation.
    const bool ordered = std::none_of(cosines.begin(), cosines.end(), [](double c) { return std::isnan(c); });
    const auto found = ordered ? standardised(average_ranks(cosines))
                               : std::vector<double>(pairs.size(), std::numeric_limits<double>::quiet_NaN());
    double sum = 0;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const double product = wanted[i] * found[i];
      sum += product;
      recorder.item("pairs", pairs[i].id, "spearman", product);
      recorder.item("pairs", pairs[i].id, "cosine", cosines[i]);
      recorder.item("pairs", pairs[i].id, "score", scores[i]);
    }
    if (ordered && std::all_of(found.begin(), found.end(), [](double z) { return z == 0; }))
      recorder.note("the model maps all pairs of " + backquoted(data) +
                    " to the same cosine; that is counted as no correlation");
    recorder.metric("spearman", sum / static_cast<double>(pairs.size()), {"correlation", {}, data, "1"});
  }

 private:
  std::vector<double> cosines_of(Handle& subject, const std::vector<TextPair>& pairs) const {
    std::vector<std::string> texts;
    for (const auto& pair : pairs) texts.push_back(pair.first);
    for (const auto& pair : pairs) texts.push_back(pair.second);
    const auto vectors = unit_vectors(subject, texts, {p_.pooling, p_.max_time}).to(at::kDouble);
    const auto n = std::ssize(pairs);
    const auto products = vectors.narrow(0, 0, n).mul(vectors.narrow(0, n, n)).sum(1).contiguous();
    std::vector<double> out;
    for (std::int64_t i = 0; i < n; ++i) out.push_back(rounded(products.const_data_ptr<double>()[i]));
    return out;
  }

  Params p_;
};

}  // namespace

void add_similarity(Registry& registry) {
  registry.add<Similarity>("similarity",
                           "Rank correlation of the cosines of pairs of texts with their graded scores.");
}

}  // namespace xp::ranking
