#include <algorithm>
#include <span>

#include "base/text.h"
#include "components.h"
#include "pairs.h"
#include "ranks.h"
#include "vectors.h"

namespace xp::ranking {
namespace {

constexpr std::int64_t kQueries = 256;  ///< compared with all documents at once

/// Finds the document that answers each query among all documents of the split, by the cosine of their vectors.
class Retrieval final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string query = "query", score = "score";
    double relevant = 1;
    Pooling pooling = Pooling::mean;
    std::int64_t max_time = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with the queries they answer, or pairs of a query and a document.")
          .artifact("dataset")
          .evaluates()
          .required();
      Relevance::describe(f, &Params::query, &Params::score, &Params::relevant);
      Reading::describe(f, &Params::pooling, &Params::max_time);
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      for (const auto& [name, unit] : kMeasures) f.gives("metric", name, unit);
    }
  };
  explicit Retrieval(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto& data = p_.data.text;
    const auto search = search_in(*context.documents(p_.data), {p_.query, p_.score, p_.relevant}, data);
    std::vector<std::string> queries;
    for (const auto& query : search.queries) queries.push_back(query.text);
    const Reading how{p_.pooling, p_.max_time};
    const auto asked = unit_vectors(subject, queries, how), index = unit_vectors(subject, search.documents, how);
    auto& recorder = context.recorder();
    Measures measures;
    for (std::int64_t from = 0; from < std::ssize(queries); from += kQueries) {
      const auto n = std::min(kQueries, std::ssize(queries) - from);
      const auto cosines = asked.narrow(0, from, n).matmul(index.t()).to(at::kDouble).contiguous();
      for (std::int64_t q = 0; q < n; ++q) {
        const auto& query = search.queries[static_cast<std::size_t>(from + q)];
        const auto* row = cosines.const_data_ptr<double>() + q * index.size(0);
        measures.add(query.id, of_row(query, {row, search.documents.size()}), recorder);
      }
    }
    measures.record(data, recorder);
    recorder.note(count(queries.size(), "query") + " among " + count(search.documents.size(), "document") + " of " +
                  backquoted(data));
  }

 private:
  static Measured of_row(const Search::Query& query, std::span<const double> cosines) {
    std::vector<Candidate> candidates;
    for (const auto cosine : cosines) candidates.push_back({rounded(cosine)});
    std::vector<double> gains;
    for (const auto& [document, gain] : query.gains) candidates[document].gain = gain, gains.push_back(gain);
    return measured(std::move(candidates), std::move(gains));
  }

  Params p_;
};

}  // namespace

void add_retrieval(Registry& registry) {
  registry.add<Retrieval>("retrieval", "Finds the documents of queries by the cosine of their vectors.");
}

}  // namespace xp::ranking
