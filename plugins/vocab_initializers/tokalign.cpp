#include <algorithm>

#include "api/vocab_initializer.h"
#include "kit/anchors.h"
#include "kit/tensors.h"
#include "kit/token_vectors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "plugin/plugin.h"

namespace {

/// TokAlign (Li et al. 2025): vectors of both vocabularies' tokens, trained apart, are compared by their cosines with
/// the same shared tokens; a new row is that of the one old token that is nearest.
class TokAlign final : public xp::VocabInitializer {
 public:
  struct Params {
    std::vector<xp::Value> source_vectors, target_vectors;
    std::int64_t pivots = 300;
    xp::Fallback fallback = xp::Fallback::token;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::source_vectors, "source_vectors",
            "Vectors of the old vocabulary's tokens, by their strings; none: the stage's `source_vectors`.")
          .files();
      f.add(&Params::target_vectors, "target_vectors",
            "Vectors of the new vocabulary's tokens, by their strings; none: the stage's `vectors`.")
          .files();
      f.add(&Params::pivots, "pivots", "Shared tokens that are drawn to compare with.").min(1);
      f.add(&Params::fallback, "fallback", "Tokens that have no vector.", xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
    }
  };
  explicit TokAlign(Params params) : p_(std::move(params)) {}

  bool wants_vectors() const override { return p_.source_vectors.empty() || p_.target_vectors.empty(); }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    auto source = xp::token_vectors(setting.source, xp::source_vectors(setting, p_.source_vectors));
    auto target = xp::token_vectors(setting, p_.target_vectors);
    const auto pivots = draw(xp::anchors_of(plan), source, target, setting.random.child("pivots").stream());
    if (pivots.empty())
      throw xp::Error("no shared token has a vector on both sides, so old and new tokens cannot be compared",
                      xp::Exit::usage);
    std::vector<std::int64_t> old_ids, new_ids;
    for (const auto& pivot : pivots) old_ids.push_back(pivot.source), new_ids.push_back(pivot.target);
    relate(source, old_ids), relate(target, new_ids);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (target.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    const auto near = xp::nearest_tokens(target, covered, source, 1);
    for (std::size_t i = 0; i < covered.size(); ++i)
      plan.set_row(covered[i], {{near[i].front().token, 1}}, "nearest");
    xp::fall_back(setting, plan, bare, p_.fallback, "the token has no vector");
  }

 private:
  std::vector<xp::Anchor> draw(std::vector<xp::Anchor> anchors, const xp::SubwordVectors& source,
                               const xp::SubwordVectors& target, xp::RandomStream random) const {
    std::erase_if(anchors, [&](const xp::Anchor& one) {
      return !source.covered[static_cast<std::size_t>(one.source)] ||
             !target.covered[static_cast<std::size_t>(one.target)];
    });
    const auto n = std::min<std::ptrdiff_t>(p_.pivots, std::ssize(anchors));
    for (std::ptrdiff_t i = 0; i < n; ++i)
      std::swap(anchors[static_cast<std::size_t>(i)],
                anchors[static_cast<std::size_t>(i + random.below(std::ssize(anchors) - i))]);
    anchors.resize(static_cast<std::size_t>(n));
    return anchors;
  }

  /// Vectors become their cosines with the pivots, of unit length again.
  static void relate(xp::SubwordVectors& vectors, const std::vector<std::int64_t>& pivots) {
    const auto cosines = vectors.vectors.matmul(vectors.vectors.index_select(0, xp::tensor_of(pivots)).t());
    vectors.vectors = cosines.div(cosines.norm(2, 1, true).clamp_min(1e-30));
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(tokalign) {
  registry.add<TokAlign>("tokalign", "The row of the old token that is nearest by its place among shared tokens.");
}
