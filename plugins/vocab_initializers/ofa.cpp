#include "api/vocab_initializer.h"
#include "kit/subword_vectors.h"
#include "kit/vocab_factors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "plugin/plugin.h"

namespace {

/// OFA (Liu et al. 2023, arXiv 2311.08849): a new row mixes the rows of the nearest old tokens in a space of word
/// vectors; with `rank` the table stays a product of coordinates and primitives.
class Ofa final : public xp::VocabInitializer {
 public:
  struct Params {
    std::int64_t rank = 0, neighbours = 10;
    double temperature = 0.1;
    bool shuffle_vectors = false;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    xp::FactorScale scale = xp::FactorScale::primitives;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::rank, "rank", "Width of the coordinates; 0 keeps a whole table.").min(0);
      f.add(&Params::neighbours, "neighbours", "Nearest old tokens that a new row mixes.").min(1);
      f.add(&Params::temperature, "temperature", "Divides cosines before the softmax.").above(0);
      f.add(&Params::shuffle_vectors, "shuffle_vectors",
            "Negative control: word vectors change places, so that nearness means nothing.");
      f.add(&Params::fallback, "fallback",
            "Tokens that no word vector covers: normal rows as published, the mean of their pieces or of all rows, "
            "the row of the unknown token, or left for the next initializer.",
            xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
      f.add(&Params::scale, "scale",
            "Where singular values go: all into the primitives as published, or their roots to both sides.",
            xp::factor_scale_names());
      f.needs("artifact", "vectors");
    }
  };
  explicit Ofa(Params params) : p_(params) {}

  bool wants_vectors() const override { return true; }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    if (!setting.vectors)
      throw xp::Error("this initializer compares words: give the stage `vectors`", xp::Exit::usage);
    const auto& words = setting.vectors->strings("words");
    const auto& vectors = setting.vectors->floats("vectors");
    const auto order = xp::vector_order(words.size(), p_.shuffle_vectors, setting.random.child("shuffle").stream());
    const auto source = xp::subword_vectors(setting.source, words, vectors, order);
    const auto rows = plan.open_rows();
    const auto target = xp::subword_vectors(setting.target, words, vectors, order, {.tokens = &rows});
    std::vector<xp::TokenId> covered, bare;  // places in `rows`
    for (std::size_t i = 0; i < rows.size(); ++i)
      (target.covered[i] ? covered : bare).push_back(static_cast<xp::TokenId>(i));
    const auto near = xp::nearest_tokens(target, covered, source, p_.neighbours);
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (near[i].empty())
        bare.push_back(covered[i]);
      else
        plan.set_row(rows[static_cast<std::size_t>(covered[i])],
                     xp::weigh(near[i], xp::Weighting::softmax, p_.temperature), "similarity");
    }
    for (auto& one : bare) one = rows[static_cast<std::size_t>(one)];
    fill(setting, plan, bare);
  }

  std::optional<xp::Factorisation> factorise(const xp::VocabSetting& setting) override {
    if (p_.rank == 0) return std::nullopt;
    return xp::input_factors(xp::weights_of(setting), p_.rank, p_.scale);
  }

 private:
  void fill(const xp::VocabSetting& setting, xp::MixPlan& plan, const std::vector<xp::TokenId>& rows) const {
    std::vector<xp::TableStatistics> tables;
    if (p_.rank > 0)
      tables = xp::factored_statistics(xp::weights_of(setting),
                                       xp::input_factors(xp::weights_of(setting), p_.rank, p_.scale));
    xp::fall_back(setting, plan, rows, p_.fallback, "no word vector covers the token", std::move(tables));
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(ofa) {
  registry.add<Ofa>("ofa", "Mixes the rows of the nearest old tokens in a space of word vectors, factorised or not.");
}
