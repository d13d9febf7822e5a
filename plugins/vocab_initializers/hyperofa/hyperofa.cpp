#include <ATen/ops/linalg_solve.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/vocab_initializer.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "plugin/plugin.h"
#include "set_learner.h"

namespace {

using xp::hyperofa::Network;
using xp::hyperofa::TokenWords;

/// HyperOFA (Özeren, Liu and Schütze 2025, arXiv 2504.21018): a network learns from old tokens which row belongs to a
/// set of words, and predicts the rows of new tokens from the words that have them.
class HyperOfa final : public xp::VocabInitializer {
 public:
  using Params = xp::hyperofa::Settings;
  explicit HyperOfa(Params params) : p_(params) {}

  bool wants_vectors() const override { return true; }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    if (!setting.vectors) throw xp::Error("this initializer reads words: give the stage `vectors`", xp::Exit::usage);
    const auto& words = setting.vectors->strings("words");
    const auto vectors = vectors_of(setting, words.size());
    const TokenWords source{setting.source, sets_of(setting.source, words)},
        target{setting.target, sets_of(setting.target, words)};
    std::vector<xp::TokenId> known, covered, bare;
    for (xp::TokenId id = 0; id < setting.source.size(); ++id)
      if (!source.of[static_cast<std::size_t>(id)].empty()) known.push_back(id);
    for (const auto row : plan.open_rows())
      (target.of[static_cast<std::size_t>(row)].empty() || known.empty() ? bare : covered).push_back(row);
    std::vector<xp::TableStatistics> statistics;
    std::optional<xp::Factorisation> factors;
    if (p_.rank > 0) {
      factors = xp::input_factors(xp::weights_of(setting), p_.rank, p_.scale);
      statistics = xp::factored_statistics(xp::weights_of(setting), *factors);
    }
    if (!covered.empty()) {
      const auto tables = tables_of(xp::weights_of(setting), factors);
      const auto wanted = rows_of(tables, known);
      if (p_.network == Network::ridge) {
        write(plan, covered, tables, by_ridge(vectors, means(vectors, source, known), wanted, target, covered));
      } else {
        xp::hyperofa::SetLearner learner(p_, vectors, setting.random);
        learner.learn(source, known, wanted);
        write(plan, covered, tables, learner.predict(target, covered));
      }
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "no word covers the token", std::move(statistics));
  }

  std::optional<xp::Factorisation> factorise(const xp::VocabSetting& setting) override {
    if (p_.rank == 0) return std::nullopt;
    return xp::input_factors(xp::weights_of(setting), p_.rank, p_.scale);
  }

 private:
  /// A table whose rows are predicted, or a bias, which gets its mean.
  struct TableOf {
    std::string role;
    at::Tensor rows;  ///< [tokens, width] or [tokens], double
  };

  /// Vectors by word, of mean square 1 over all numbers, so that networks see numbers of one size.
  at::Tensor vectors_of(const xp::VocabSetting& setting, std::size_t words) const {
    const auto& vectors = setting.vectors->floats("vectors");
    if (vectors.shape.size() != 2 || vectors.shape[0] != static_cast<std::int64_t>(words))
      throw xp::Error("static vectors hold " + std::to_string(words) + " words and another number of vectors",
                      xp::Exit::data);
    const auto order = xp::vector_order(words, p_.shuffle_vectors, setting.random.child("shuffle").stream());
    const auto table = xp::tensor_of(vectors.data, {vectors.shape[0], vectors.shape[1]})
                           .index_select(0, xp::tensor_of(std::vector<std::int64_t>(order.begin(), order.end())));
    return table.div(table.square().mean().sqrt().clamp_min(1e-12));
  }

  /// The mean of words counts each writing that has the token, as OFA's does; a network reads a word once.
  std::vector<xp::hyperofa::Words> sets_of(const xp::Encoder& encoder, const xp::Strings& words) const {
    auto out = xp::word_sets(encoder, words);
    if (p_.network != Network::ridge)
      for (auto& set : out) set.erase(std::unique(set.begin(), set.end()), set.end());
    return out;
  }

  static std::vector<TableOf> tables_of(const xp::Parameters& weights,
                                        const std::optional<xp::Factorisation>& factors) {
    std::vector<TableOf> out;
    for (const auto i : xp::vocab_params(weights)) {
      const auto& value = weights.values[i];
      const auto rows = factors && value.dim() == 2 ? xp::coordinates_of(*factors) : value.detach();
      out.push_back({weights.info[i].role, rows.to(at::kDouble)});
    }
    return out;
  }

  /// Rows of these tokens, tables side by side: [tokens, width] double.
  static at::Tensor rows_of(const std::vector<TableOf>& tables, const std::vector<xp::TokenId>& tokens) {
    const auto ids = xp::tensor_of(std::vector<std::int64_t>(tokens.begin(), tokens.end()));
    std::vector<at::Tensor> parts;
    for (const auto& table : tables)
      if (table.rows.dim() == 2) parts.push_back(table.rows.index_select(0, ids));
    if (parts.empty()) throw xp::Error("the model has no table with rows for tokens");
    return xp::ops::cat(parts, 1);
  }

  /// `rows`: [covered, width], tables side by side.
  static void write(xp::MixPlan& plan, const std::vector<xp::TokenId>& covered, const std::vector<TableOf>& tables,
                    const at::Tensor& rows) {
    const auto numbers = rows.to(at::kFloat).contiguous();
    const auto stride = static_cast<std::size_t>(numbers.size(1));
    std::size_t from = 0;
    for (const auto& table : tables) {
      const bool bias = table.rows.dim() == 1;
      const std::vector<float> mean{static_cast<float>(table.rows.mean().item<double>())};
      const auto width = bias ? 0 : static_cast<std::size_t>(table.rows.size(1));
      for (std::size_t i = 0; i < covered.size(); ++i) {
        const auto* row = numbers.const_data_ptr<float>() + i * stride + from;
        plan.set_dense_row(covered[i], table.role, bias ? std::span<const float>(mean) : std::span(row, width),
                           "predicted");
      }
      from += width;
    }
  }

  /// The mean of the vectors of each token's words: [tokens, dim] double.
  static at::Tensor means(const at::Tensor& vectors, const TokenWords& words,
                          const std::vector<xp::TokenId>& tokens) {
    const auto dim = vectors.size(1);
    const auto* from = vectors.const_data_ptr<float>();
    auto out = xp::ops::zeros({std::ssize(tokens), dim}, at::kDouble);
    auto* to = out.mutable_data_ptr<double>();
    for (const auto token : tokens) {
      const auto& own = words.of[static_cast<std::size_t>(token)];
      for (const auto word : own)
        for (std::int64_t d = 0; d < dim; ++d) to[d] += from[word * dim + d];
      for (std::int64_t d = 0; d < dim; ++d) to[d] /= static_cast<double>(own.size());
      to += dim;
    }
    return out;
  }

  /// Least squares from centred means `x` to centred rows, with a penalty on the squared map.
  at::Tensor by_ridge(const at::Tensor& vectors, const at::Tensor& x, const at::Tensor& wanted,
                      const TokenWords& target, const std::vector<xp::TokenId>& covered) const {
    const at::NoGradGuard quiet;
    const auto centre = x.mean(0), mean = wanted.mean(0);
    const auto a = x.sub(centre);
    auto square = a.t().matmul(a);
    const auto size = square.diagonal().mean().item<double>();
    // Where all tokens have the same words the map is 0, and the mean row all that can be said.
    square.diagonal().add_(size > 0 ? size * p_.penalty : 1);
    const auto map = at::linalg_solve(square, a.t().matmul(wanted.sub(mean)));
    return means(vectors, target, covered).sub(centre).matmul(map).add(mean);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(hyperofa) {
  registry.add<HyperOfa>("hyperofa", "Rows that a network predicts from the words that have the token.");
}
