
#include <algorithm>
#include <array>
#include <map>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr double kTie = 1e-6;  ///< cosines in float32 that differ by less are equal
constexpr std::array<std::pair<const char*, std::int64_t>, 3> kTops{{{"top1", 1}, {"top5", 5}, {"top10", 10}}};

/// Rows of the embeddings of one language, by key.
using Rows = std::map<std::string, std::int64_t>;

/// Finds the passage of the same key in another language. A document's vector is the mean over its tokens, specials
/// included, of one layer, at unit length; rank = 1 + other candidates whose cosine is not smaller.
class SentenceRetrieval final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string queries = "en";
    std::int64_t layer = 0, max_time = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents whose `group` is equal across languages.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::queries, "queries", "Language of the queries; every other one is an index.");
      f.add(&Params::layer, "layer", "Layer whose output is averaged; 0: two thirds of the layers, rounded up.")
          .min(0);
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      for (const auto& [name, most] : kTops) f.gives("metric", name, "share");
      f.gives("metric", "mrr", "reciprocal rank");
    }
  };
  explicit SentenceRetrieval(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    languages_.clear();
    const auto vectors = embed(subject, context);
    const auto queries = languages_.find(p_.queries);
    if (queries == languages_.end()) {
      std::vector<std::string> names;
      for (const auto& [name, rows] : languages_) names.push_back(name);
      throw Error(backquoted(p_.data.text) + " has no document in the language of the queries, " +
                      backquoted(p_.queries) + "; there is " + listed(names),
                  Exit::data);
    }
    auto& recorder = context.recorder();
    std::map<std::string, double> sums;
    std::int64_t indices = 0, candidates = 0;
    for (const auto& [language, rows] : languages_) {
      if (language == p_.queries) continue;
      const auto means = search(vectors, queries->second, language, rows, recorder);
      if (means.empty()) continue;
      for (const auto& [name, mean] : means) sums[name] += mean;
      ++indices, candidates += std::ssize(rows);
    }
    if (indices == 0)
      throw Error("no document of " + backquoted(p_.data.text) + " has the group of a query in another language",
                  Exit::data);
    for (const auto& [name, sum] : sums)
      recorder.metric(name, sum / static_cast<double>(indices),
                      {name == "mrr" ? "reciprocal rank" : "share", {}, p_.data.text, "1"});
    recorder.note("retrieval in " + count(static_cast<std::size_t>(indices), "language") + " among " +
                  number_text(static_cast<double>(candidates) / static_cast<double>(indices)) +
                  " candidates on average");
  }

 private:
  /// [documents, width] at unit length; fills languages_.
  at::Tensor embed(Handle& subject, EvaluationContext& context) {
    const auto layers = subject.shape().layers;
    const auto layer = p_.layer > 0 ? p_.layer : (2 * layers + 2) / 3;
    if (layer > layers)
      throw Error("`layer` is " + std::to_string(layer) + ", the model has " +
                  count(static_cast<std::size_t>(layers), "layer"));
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false});
    std::vector<at::Tensor> parts;
    std::int64_t row = 0;
    Batch batch;
    while (reader->next(batch)) {
      const auto& keys = batch.strings("group");
      const auto& names = batch.strings("language");
      for (std::size_t i = 0; i < keys.size(); ++i, ++row)
        if (!languages_[names[i]].emplace(keys[i], row).second)
          throw Error("two documents of " + backquoted(p_.data.text) + " have the language " + backquoted(names[i]) +
                          " and the group " + backquoted(keys[i]) + "; retrieval needs one",
                      Exit::data);
      const auto hidden =
          subject.encode(batch, {.layers = true}).layers.at(static_cast<std::size_t>(layer)).to(at::kFloat);
      const auto mask = batch.dense("input.mask").to(at::kFloat).unsqueeze(-1);
      const auto mean = hidden.mul(mask).sum(1).div(mask.sum(1).clamp_min(1));
      parts.push_back(mean.div(mean.norm(2, {1}, true).clamp_min(1e-12)));
    }
    if (parts.empty()) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    return ops::cat(parts);
  }

  /// Means over the queries that the language answers; empty if there is none. Query ids are `<language>/<key>`.
  std::map<std::string, double> search(const at::Tensor& vectors, const Rows& queries, const std::string& language,
                                       const Rows& rows, Recorder& recorder) const {
    std::vector<std::string> keys;
    std::vector<std::int64_t> asked, index, answers;  // rows of vectors; positions in index
    for (const auto& [key, row] : rows) {
      if (const auto query = queries.find(key); query != queries.end())
        keys.push_back(key), asked.push_back(query->second), answers.push_back(std::ssize(index));
      index.push_back(row);
    }
    if (keys.empty()) return {};
    const auto rows_of = [&](const std::vector<std::int64_t>& at) {
      const auto places = at::Tensor(vectors.new_empty({std::ssize(at)}, at::kLong));
      std::copy(at.begin(), at.end(), places.mutable_data_ptr<std::int64_t>());
      return vectors.index_select(0, places);
    };
    const auto cosines = rows_of(asked).matmul(rows_of(index).t()).to(at::kDouble).contiguous();
    std::map<std::string, double> means;
    for (std::size_t q = 0; q < keys.size(); ++q) {
      const auto* row = cosines.const_data_ptr<double>() + static_cast<std::int64_t>(q) * std::ssize(index);
      const double right = row[answers[q]];
      // Not "greater or equal": a comparison with a number that is none must count against the model.
      const auto rank = std::count_if(row, row + index.size(), [&](double other) { return !(other < right - kTie); });
      const auto id = language + "/" + keys[q];
      const auto put = [&](const char* name, double value) {
        recorder.item("queries", id, name, value);
        means[name] += value / static_cast<double>(keys.size());
      };
      for (const auto& [name, most] : kTops) put(name, rank <= most ? 1 : 0);
      put("mrr", 1.0 / static_cast<double>(rank));
    }
    return means;
  }

  Params p_;
  std::map<std::string, Rows> languages_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(sentence_retrieval) {
  registry.add<xp::SentenceRetrieval>("sentence_retrieval",
                                      "Nearest passage across languages by mean token vectors.");
}
