#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "bm25.h"
#include "components.h"
#include "kit/tensors.h"
#include "pairs.h"
#include "ranks.h"
#include "vectors.h"

namespace xp::ranking {
namespace {

/// Documents that are ranked again, the best by words first.
struct Candidates {
  std::vector<std::size_t> documents;
  std::vector<double> scores;
};

/// Ranks again what BM25 finds for a query. A document that BM25 does not hand over cannot be found.
class Rerank final : public Evaluator {
 public:
  enum class By : std::uint8_t { best, pair, cosine };
  struct Params {
    Reference data;
    std::string candidates = "bm25", query = "query", score = "score", head = "better";
    std::int64_t depth = 100;
    double k1 = 1.2, b = 0.75, relevant = 1;
    By by = By::best;
    Pooling pooling = Pooling::mean;
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with the queries they answer, or pairs of a query and a document.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::candidates, "candidates", "What hands over the documents that the model ranks.")
          .choices({"bm25"});
      f.add(&Params::depth, "depth", "Documents that are handed over for a query; 0: all.").min(0);
      f.add(&Params::k1, "k1", "Of BM25: how late repeated words stop to count.").min(0);
      f.add(&Params::b, "b", "Of BM25: how much long documents lose.").min(0).max(1);
      f.add(&Params::by, "by",
            "The head's score of document and query as one input (pair), the cosine of their vectors, or `best`: the "
            "head's where the model has one.",
            {{"best", By::best}, {"pair", By::pair}, {"cosine", By::cosine}});
      f.add(&Params::head, "head", "Field that the head predicts; of several classes the last one means relevant.");
      Relevance::describe(f, &Params::query, &Params::score, &Params::relevant);
      Reading::describe(f, &Params::pooling, &Params::max_time);
      f.add(&Params::most, "most", "Queries to measure; 0: all. Documents are those of all.").min(0);
      f.needs("capability", "primary:pooling", {{"pooling", {"own"}}});
      for (const auto& [name, unit] : kMeasures) f.gives("metric", name, unit);
      for (const auto& [name, unit] : kMeasures) f.gives("metric", std::string("bm25_") + name, unit);
    }
  };
  explicit Rerank(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto& data = p_.data.text;
    auto search = search_in(*context.documents(p_.data), {p_.query, p_.score, p_.relevant}, data);
    keep_some(search.queries, p_.most);
    const Bm25 words(search.documents, p_.k1, p_.b);
    std::vector<Candidates> found;
    for (const auto& query : search.queries) found.push_back(candidates(words.scores(query.text)));
    const bool by_pair = p_.by == By::pair || (p_.by == By::best && subject.can("predict"));
    const auto scores = by_pair ? by_head(subject, search, found) : by_cosine(subject, search, found);
    auto& recorder = context.recorder();
    Measures model, floor("bm25_");
    std::size_t at = 0, missed = 0;
    for (std::size_t q = 0; q < found.size(); ++q) {
      const auto& query = search.queries[q];
      std::vector<Candidate> ranked, plain;
      std::vector<double> gains;
      for (const auto& [document, gain] : query.gains) gains.push_back(gain);
      for (std::size_t c = 0; c < found[q].documents.size(); ++c, ++at) {
        const auto gain = query.gains.find(found[q].documents[c]);
        ranked.push_back({rounded(scores[at]), gain == query.gains.end() ? 0 : gain->second});
        plain.push_back({rounded(found[q].scores[c]), ranked.back().gain});
      }
      missed += std::all_of(ranked.begin(), ranked.end(), [](const Candidate& c) { return c.gain == 0; });
      model.add(query.id, measured(std::move(ranked), gains), recorder);
      floor.add(query.id, measured(std::move(plain), gains), recorder);
    }
    model.record(data, recorder), floor.record(data, recorder);
    recorder.note(count(found.size(), "query") + " of " + backquoted(data) + " ranked by " +
                  (by_pair ? "the head's score of the pair" : "the cosine of the vectors") + " among " +
                  count(search.documents.size(), "document") + "; of " + std::to_string(missed) +
                  " no relevant document is among the candidates");
  }

 private:
  Candidates candidates(const std::vector<double>& scores) const {
    Candidates out;
    out.documents.resize(scores.size());
    std::iota(out.documents.begin(), out.documents.end(), 0);
    std::stable_sort(out.documents.begin(), out.documents.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    if (p_.depth > 0 && std::ssize(out.documents) > p_.depth)
      out.documents.resize(static_cast<std::size_t>(p_.depth));
    for (const auto document : out.documents) out.scores.push_back(scores[document]);
    return out;
  }

  std::vector<double> by_head(Handle& subject, const Search& search, const std::vector<Candidates>& found) const {
    if (!subject.can("predict"))
      throw Error(
          "the model has no head that scores pairs; rank by \"cosine\", or train it with an objective that has");
    std::vector<std::pair<std::string, std::string>> pairs;
    for (std::size_t q = 0; q < found.size(); ++q)
      for (const auto document : found[q].documents)
        pairs.emplace_back(search.documents[document], search.queries[q].text);
    return pair_scores(subject, pairs, p_.head, {p_.pooling, p_.max_time});
  }

  std::vector<double> by_cosine(Handle& subject, const Search& search, const std::vector<Candidates>& found) const {
    std::vector<std::string> queries;
    for (const auto& query : search.queries) queries.push_back(query.text);
    const Reading how{p_.pooling, p_.max_time};
    const auto asked = unit_vectors(subject, queries, how).to(at::kDouble);
    const auto index = unit_vectors(subject, search.documents, how).to(at::kDouble);
    std::vector<double> out;
    for (std::size_t q = 0; q < found.size(); ++q) {
      const std::vector<std::int64_t> places(found[q].documents.begin(), found[q].documents.end());
      const auto row = index.index_select(0, tensor_of(places)).mv(asked[static_cast<std::int64_t>(q)]).contiguous();
      out.insert(out.end(), row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel());
    }
    return out;
  }

  Params p_;
};

}  // namespace

void add_rerank(Registry& registry) {
  registry.add<Rerank>("rerank", "Ranks again the documents that BM25 finds for queries.");
}

}  // namespace xp::ranking
