#include <ATen/ops/linalg_lstsq.h>

#include <algorithm>
#include <cmath>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/donor_rows.h"
#include "kit/tensors.h"
#include "kit/vocab_fallback.h"
#include "plugin/plugin.h"

namespace {

/// Orthogonal matching pursuit (Goddard and Fernandes Neto 2025, arXiv 2506.06607): a token's row in a donor is written
/// as a combination of few rows of shared tokens, chosen one after the other by their product with what is left; the
/// same combination of old rows is the new row. Input and output tables choose on their own.
class Omp final : public xp::VocabInitializer {
 public:
  struct Params {
    xp::Reference donor;
    std::int64_t atoms = 64;
    bool unit_atoms = false;
    xp::Fallback fallback = xp::Fallback::mean;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::donor, "donor", "A model of the new vocabulary.").artifact("checkpoint").required();
      f.add(&Params::atoms, "atoms", "Shared tokens that a row may combine.").min(1);
      f.add(&Params::unit_atoms, "unit_atoms",
            "Choose by cosine, so that long rows are not preferred; as published by the product alone.");
      f.add(&Params::fallback, "fallback", "Tokens that the donor lacks.", xp::fallback_names());
    }
  };
  explicit Omp(Params params) : p_(std::move(params)) {}

  const xp::Reference* donor() const override { return &p_.donor; }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto rows = xp::donor_rows(setting, plan);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (rows.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    const auto input = pursue(rows.input, rows.anchors, covered);
    const bool own_output =
        rows.output.defined() && !xp::weights_of(setting).select("role:vocab.output").empty();
    const auto output = own_output ? pursue(rows.output, rows.anchors, covered) : Combinations{};
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (input[i].empty()) {
        bare.push_back(covered[i]);
        continue;
      }
      plan.set_row(covered[i], input[i], "combination");
      if (!own_output || output[i].empty()) continue;
      for (const auto* role : {"vocab.output", "vocab.bias"}) plan.set_role_parts(covered[i], role, output[i]);
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "the donor lacks the token");
  }

 private:
  using Combinations = std::vector<std::vector<xp::MixPart>>;

  Combinations pursue(const at::Tensor& table, const std::vector<xp::Anchor>& anchors,
                      const std::vector<xp::TokenId>& wanted) const {
    constexpr std::size_t kBlock = 256;
    std::vector<std::int64_t> ids;
    for (const auto& anchor : anchors) ids.push_back(anchor.target);
    const auto atoms = table.index_select(0, xp::tensor_of(ids));  // [anchors, width]
    Combinations out(wanted.size());
    for (std::size_t begin = 0; begin < wanted.size(); begin += kBlock) {
      const auto end = std::min(begin + kBlock, wanted.size());
      const std::vector<std::int64_t> block(wanted.begin() + static_cast<std::ptrdiff_t>(begin),
                                            wanted.begin() + static_cast<std::ptrdiff_t>(end));
      const auto targets = table.index_select(0, xp::tensor_of(block));
      const auto chosen = choose(atoms, targets);
      for (std::size_t i = 0; i < block.size(); ++i)
        out[begin + i] = solve(atoms, targets[static_cast<std::int64_t>(i)], chosen[i], anchors);
    }
    return out;
  }

  /// For each target the atoms in the order in which they are chosen.
  std::vector<std::vector<std::int64_t>> choose(const at::Tensor& atoms, const at::Tensor& targets) const {
    const auto n = targets.size(0), most = std::min({p_.atoms, atoms.size(0), atoms.size(1)});
    const auto scale = p_.unit_atoms ? atoms.norm(2, 1).clamp_min(1e-30).reciprocal() : at::Tensor();
    auto left = targets.clone();
    std::vector<std::vector<std::int64_t>> chosen(static_cast<std::size_t>(n));
    std::vector<std::vector<at::Tensor>> basis(static_cast<std::size_t>(n));
    for (std::int64_t step = 0; step < most; ++step) {
      auto products = left.matmul(atoms.t()).abs();
      if (scale.defined()) products = products.mul(scale);
      for (std::int64_t i = 0; i < n; ++i) {
        auto& own = chosen[static_cast<std::size_t>(i)];
        auto rest = left[i];
        // What is left is rounding error: further atoms would fit noise.
        if (std::ssize(own) < step || rest.norm().item<double>() <= 1e-10 * targets[i].norm().item<double>()) continue;
        auto scores = products[i];
        for (const auto atom : own) scores[atom] = -1.0;
        const auto best = scores.argmax().item<std::int64_t>();
        auto direction = atoms[best].clone();
        for (int pass = 0; pass < 2; ++pass)  // once more, as the first pass leaves rounding errors behind
          for (const auto& other : basis[static_cast<std::size_t>(i)])
            direction = direction.sub(other.mul(other.dot(direction)));
        const double length = direction.norm().item<double>();
        if (length <= 1e-10 * atoms[best].norm().item<double>()) continue;  // it adds no direction
        direction = direction.div(length);
        left[i] = rest.sub(direction.mul(direction.dot(rest)));
        own.push_back(best), basis[static_cast<std::size_t>(i)].push_back(direction);
      }
    }
    return chosen;
  }

  /// Least squares of the target on its atoms.
  static std::vector<xp::MixPart> solve(const at::Tensor& atoms, const at::Tensor& target,
                                        const std::vector<std::int64_t>& chosen,
                                        const std::vector<xp::Anchor>& anchors) {
    if (chosen.empty()) return {};
    const auto matrix = atoms.index_select(0, xp::tensor_of(chosen)).t();
    const auto weights = std::get<0>(at::linalg_lstsq(matrix, target.unsqueeze(1))).squeeze(1).contiguous();
    std::vector<xp::MixPart> parts;
    for (std::size_t i = 0; i < chosen.size(); ++i)
      parts.push_back({anchors[static_cast<std::size_t>(chosen[i])].source, weights.const_data_ptr<double>()[i]});
    return parts;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(omp) {
  registry.add<Omp>("omp", "Combinations of few shared rows that make up the token's row in another model.");
}
