#include <unordered_map>

#include "api/vocab_initializer.h"
#include "kit/token_vectors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "plugin/plugin.h"

namespace {

/// FOCUS (Dobler and de Melo 2023, arXiv 2305.14481): a new row mixes the rows of tokens that both vocabularies have,
/// by how near they are among vectors of the new vocabulary's own tokens; the projection on the simplex picks few.
class Focus final : public xp::VocabInitializer {
 public:
  struct Params {
    std::vector<xp::Value> target_vectors;
    xp::Weighting weighting = xp::Weighting::sparsemax;
    std::int64_t neighbours = 0;
    double temperature = 1;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::target_vectors, "target_vectors",
            "Vectors of the new vocabulary's tokens, by their strings (\"▁the\"); none: the stage's `vectors`.")
          .files();
      f.add(&Params::weighting, "weighting", "How cosines become weights.", xp::weighting_names());
      f.add(&Params::neighbours, "neighbours", "Nearest shared tokens that are looked at; 0: all, as published.")
          .min(0);
      f.add(&Params::temperature, "temperature", "Divides cosines before they become weights.").above(0);
      f.add(&Params::fallback, "fallback", "New tokens that have no vector.", xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
    }
  };
  explicit Focus(Params params) : p_(std::move(params)) {}

  bool wants_vectors() const override { return p_.target_vectors.empty(); }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto tokens = xp::token_vectors(setting, p_.target_vectors);
    std::unordered_map<xp::TokenId, xp::TokenId> source;
    const auto shared = xp::only_anchors(tokens, xp::anchors_of(plan), source);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (tokens.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    auto parts = xp::weighted_neighbours(tokens, covered, shared, p_.neighbours, p_.weighting, p_.temperature);
    for (std::size_t i = 0; i < covered.size(); ++i) {
      for (auto& part : parts[i]) part.source = source.at(part.source);
      if (parts[i].empty())
        bare.push_back(covered[i]);
      else
        plan.set_row(covered[i], std::move(parts[i]), "similarity");
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "the token has no vector, or no shared token has one");
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(focus) {
  registry.add<Focus>("focus",
                      "Mixes the rows of shared tokens that are near among the new vocabulary's own vectors.");
}
