#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/linalg_solve.h>

#include <unordered_map>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/donor_rows.h"
#include "kit/tensors.h"
#include "kit/token_vectors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "plugin/plugin.h"

namespace {

/// SALT (Lee et al. 2025, arXiv 2505.10945): for each token the shared tokens near it give a local linear map from a
/// donor's rows to the old model's, which turns the token's own row in the donor into the new row.
class Salt final : public xp::VocabInitializer {
 public:
  struct Params {
    xp::Reference donor;
    std::vector<xp::Value> target_vectors;
    xp::Weighting weighting = xp::Weighting::sparsemax;
    std::int64_t neighbours = 0;
    double temperature = 1, ridge = 0;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::donor, "donor", "A model of the new vocabulary.").artifact("checkpoint").required();
      f.add(&Params::target_vectors, "target_vectors",
            "Vectors of the new vocabulary's tokens, by their strings; none: the stage's `vectors`.")
          .files();
      f.add(&Params::weighting, "weighting", "What picks the near tokens: those of a weight above 0.",
            xp::weighting_names());
      f.add(&Params::neighbours, "neighbours", "Nearest shared tokens that are looked at; 0: all.").min(0);
      f.add(&Params::temperature, "temperature", "Divides cosines before they become weights.").above(0);
      f.add(&Params::ridge, "ridge", "Penalty on the map; 0 takes the smallest map that fits best.").min(0);
      f.add(&Params::fallback, "fallback", "Tokens that the donor lacks or that have no vector.",
            xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
    }
  };
  explicit Salt(Params params) : p_(std::move(params)) {}

  bool wants_vectors() const override { return p_.target_vectors.empty(); }
  const xp::Reference* donor() const override { return &p_.donor; }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto rows = xp::donor_rows(setting, plan);
    const auto tokens = xp::token_vectors(setting, p_.target_vectors);
    std::unordered_map<xp::TokenId, xp::TokenId> source;
    const auto shared = xp::only_anchors(tokens, rows.anchors, source);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows()) {
      const auto at = static_cast<std::size_t>(row);
      (rows.covered[at] && tokens.covered[at] ? covered : bare).push_back(row);
    }
    const auto near = xp::weighted_neighbours(tokens, covered, shared, p_.neighbours, p_.weighting, p_.temperature);
    const auto tables = xp::old_tables(setting);
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (near[i].empty()) {
        bare.push_back(covered[i]);
        continue;
      }
      std::vector<std::int64_t> target, old;
      for (const auto& part : near[i]) target.push_back(part.source), old.push_back(source.at(part.source));
      const auto from = rows.input.index_select(0, xp::tensor_of(target));
      for (const auto& [role, table] : tables)
        put(plan, covered[i], role, rows.input[covered[i]], from, table.index_select(0, xp::tensor_of(old)));
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "the donor lacks the token, or nothing is near it");
  }

 private:
  /// Sets the row to its donor row times the map X that minimises |from X - to|.
  void put(xp::MixPlan& plan, xp::TokenId row, const std::string& role, const at::Tensor& own, const at::Tensor& from,
           const at::Tensor& to) const {
    at::Tensor numbers;
    if (p_.ridge == 0) {
      numbers = own.matmul(at::linalg_pinv(from)).matmul(to);
    } else {
      const auto gram = from.matmul(from.t()).add(at::eye(from.size(0), from.options()).mul(p_.ridge));
      numbers = from.matmul(own).matmul(at::linalg_solve(gram, to));
    }
    const auto flat = numbers.to(at::kFloat).contiguous();
    plan.set_dense_row(row, role, {flat.const_data_ptr<float>(), static_cast<std::size_t>(flat.numel())},
                       "local map");
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(salt) {
  registry.add<Salt>("salt", "A donor's row by the linear map that fits the shared tokens near it.");
}
