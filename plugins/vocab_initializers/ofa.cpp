#include <ATen/ops/linalg_svd.h>

#include <cmath>

#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "plugin/plugin.h"

namespace {

enum class Scale { primitives, even };

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
    Scale scale = Scale::primitives;
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
            {{"primitives", Scale::primitives}, {"even", Scale::even}});
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
    const auto target = xp::subword_vectors(setting.target, words, vectors, order);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (target.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    const auto near = xp::nearest_tokens(target, covered, source, p_.neighbours);
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (near[i].empty())
        bare.push_back(covered[i]);
      else
        plan.set_row(covered[i], xp::weigh(near[i], xp::Weighting::softmax, p_.temperature), "similarity");
    }
    fill(setting, plan, bare);
  }

  std::optional<xp::Factorisation> factorise(const xp::VocabSetting& setting) override {
    if (p_.rank == 0) return std::nullopt;
    return factors(xp::weights_of(setting));
  }

 private:
  void fill(const xp::VocabSetting& setting, xp::MixPlan& plan, const std::vector<xp::TokenId>& rows) const {
    auto tables = xp::vocab_statistics(xp::weights_of(setting));
    if (p_.rank > 0) {
      const auto product = factors(xp::weights_of(setting));
      const auto coordinates =
          xp::tensor_of(product.coordinates, {std::ssize(product.coordinates) / product.rank, product.rank});
      for (auto& table : tables)
        if (table.mean.size() > 1) table = xp::statistics_of(coordinates, table.role);
    }
    xp::fall_back(setting, plan, rows, p_.fallback, "no word vector covers the token", std::move(tables));
  }

  // Thin SVD of the uncentred table: E = U S V^T, coordinates U_r, primitives S_r V_r^T.
  xp::Factorisation factors(const xp::Parameters& weights) const {
    const auto inputs = weights.select("role:vocab.input");
    if (inputs.size() != 1)
      throw xp::Error("a factorised vocabulary needs one input table, the model has " +
                      xp::count(inputs.size(), "table"));
    if (!weights.select("role:vocab.output").empty())
      throw xp::Error(
          "a factorised vocabulary needs tied tables; use rank = 0 for a model with an output table of its own",
          xp::Exit::usage);
    const auto table = weights.values[inputs.front()].detach().to(at::kDouble);
    const auto most = std::min(table.size(0), table.size(1));
    if (p_.rank > most)
      throw xp::Error("rank " + std::to_string(p_.rank) + " is above the table's " + std::to_string(most),
                      xp::Exit::usage);
    const auto [u, s, vt] = at::linalg_svd(table, false);
    auto left = u.narrow(1, 0, p_.rank), right = vt.narrow(0, 0, p_.rank);
    const auto values = s.narrow(0, 0, p_.rank);
    if (p_.scale == Scale::primitives) {
      right = right.mul(values.unsqueeze(1));
    } else {
      left = left.mul(values.sqrt().unsqueeze(0)), right = right.mul(values.sqrt().unsqueeze(1));
    }
    const auto numbers = [](const at::Tensor& t) {
      const auto flat = t.to(at::kFloat).contiguous();
      return std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
    };
    return {p_.rank, numbers(left), numbers(right)};
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(ofa) {
  registry.add<Ofa>("ofa", "Mixes the rows of the nearest old tokens in a space of word vectors, factorised or not.");
}
