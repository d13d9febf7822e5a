#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/ops.h"
#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/donor_rows.h"
#include "kit/mixing.h"
#include "kit/tensors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "plugin/plugin.h"

namespace {

/// Orthogonal matching pursuit (Goddard and Fernandes Neto 2025, arXiv 2506.06607): a token's row in a donor is
/// written as a combination of few rows of shared tokens, chosen one after the other by their product with what is
/// left; the same combination of old rows is the new row. Input and output tables choose on their own.
class Omp final : public xp::VocabInitializer {
 public:
  struct Params {
    xp::Reference donor;
    std::int64_t atoms = 64;
    bool unit_atoms = false;
    xp::Fallback fallback = xp::Fallback::mean;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::donor, "donor", "A model of the new vocabulary.").artifact("checkpoint").required();
      f.add(&Params::atoms, "atoms", "Shared tokens that a row may combine.").min(1);
      f.add(&Params::unit_atoms, "unit_atoms",
            "Choose by cosine, so that long rows are not preferred; as published by the product alone.");
      f.add(&Params::fallback, "fallback", "Tokens that the donor lacks.", xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
    }
  };
  explicit Omp(Params params) : p_(std::move(params)) {}

  const xp::Reference* donor() const override { return &p_.donor; }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto rows = xp::donor_rows(setting, plan);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (rows.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    const auto input = pursue(setting, rows.input, rows.anchors, covered);
    const bool own_output = rows.output.defined() && xp::has_own_output(xp::weights_of(setting));
    const auto output = own_output ? pursue(setting, rows.output, rows.anchors, covered) : Combinations{};
    for (std::size_t i = 0; i < covered.size(); ++i) {
      if (input[i].empty()) {
        bare.push_back(covered[i]);
        continue;
      }
      plan.set_row(covered[i], input[i], "combination");
      if (own_output && !output[i].empty()) xp::set_output_parts(plan, covered[i], output[i]);
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "the donor lacks the token");
  }

 private:
  using Combinations = std::vector<std::vector<xp::MixPart>>;

  /// In several sums, which a compiler keeps in one register.
  static double product(const double* a, const double* b, std::size_t n) {
    constexpr std::size_t kSums = 8;
    double sums[kSums] = {}, rest = 0;
    std::size_t d = 0;
    for (; d + kSums <= n; d += kSums)
      for (std::size_t k = 0; k < kSums; ++k) sums[k] += a[d + k] * b[d + k];
    for (; d < n; ++d) rest += a[d] * b[d];
    return std::accumulate(sums, sums + kSums, rest);
  }

  /// One token's pursuit: its atoms, an orthonormal basis Q of them and R with atoms = Q R.
  struct Pursuit {
    std::vector<double> left;                                 // of the target, at a right angle to the basis
    double size = 0;                                          // norm of the target
    std::vector<std::int64_t> atoms = {};                     // by their place among the anchors
    std::vector<std::vector<double>> basis = {}, upper = {};  // Q's columns; R's, as long as their place plus one
    std::vector<double> products = {};                        // of the target with Q's columns

    double length() const { return std::sqrt(dot(left, left)); }
    bool wants_more() const { return length() > 1e-10 * size; }

    /// False if the atom adds no direction.
    bool add(std::int64_t atom, const double* numbers) {
      std::vector<double> direction(numbers, numbers + left.size()), column(basis.size());
      const double length = std::sqrt(dot(direction, direction));
      for (int pass = 0; pass < 2; ++pass)  // once more, as the first pass leaves rounding errors behind
        for (std::size_t k = 0; k < basis.size(); ++k) {
          const double product = dot(basis[k], direction);
          column[k] += product;
          take(direction, product, basis[k]);
        }
      const double rest = std::sqrt(dot(direction, direction));
      if (rest <= 1e-10 * length) return false;
      for (double& x : direction) x /= rest;
      const double product = dot(direction, left);
      take(left, product, direction);
      atoms.push_back(atom), products.push_back(product);
      column.push_back(rest), upper.push_back(std::move(column)), basis.push_back(std::move(direction));
      return true;
    }

    /// Weights of the atoms: R w = Qt target, from below.
    std::vector<double> solve() const {
      auto weights = products;
      for (std::size_t k = weights.size(); k-- > 0;) {
        weights[k] /= upper[k][k];
        for (std::size_t i = 0; i < k; ++i) weights[i] -= upper[k][i] * weights[k];
      }
      return weights;
    }

   private:
    static double dot(const std::vector<double>& a, const std::vector<double>& b) {
      return product(a.data(), b.data(), a.size());
    }
    static void take(std::vector<double>& from, double factor, const std::vector<double>& what) {
      for (std::size_t d = 0; d < from.size(); ++d) from[d] -= factor * what[d];
    }
  };

  /// Rows that may be combined. Single precision finds the few that may be best, double decides among them.
  struct Atoms {
    at::Tensor exact;             // [anchors, width] double
    at::Tensor quick;             // [width, anchors] float, as they are compared
    std::vector<double> factors;  // of products, where atoms are compared by cosine; else empty
    double longest = 0;           // norm in `quick`

    Atoms(at::Tensor rows, bool unit) : exact(std::move(rows)) {
      auto compared = exact;
      if (unit) {
        const auto inverse = exact.norm(2, 1).clamp_min(1e-30).reciprocal().contiguous();
        factors.assign(inverse.const_data_ptr<double>(), inverse.const_data_ptr<double>() + inverse.numel());
        compared = exact * inverse.unsqueeze(1);
      }
      longest = compared.norm(2, 1).max().item<double>();
      quick = compared.to(at::kFloat).t().contiguous();
    }
    const double* row(std::int64_t atom) const { return exact.const_data_ptr<double>() + atom * exact.size(1); }

    /// The atom with the largest product with `left`, the first of equal ones. `scores` are quick products without
    /// sign, -1 for atoms that are taken.
    std::int64_t best(const std::vector<double>& left, double length, const float* scores) const {
      const auto n = exact.size(0);
      const float most = *std::max_element(scores, scores + n);
      const double error = static_cast<double>(left.size() + 2) * 0x1p-23 * length * longest;
      const auto least = static_cast<float>(static_cast<double>(most) - 2.1 * error);
      std::int64_t found = -1;
      double largest = -1;
      for (std::int64_t atom = 0; atom < n; ++atom) {
        if (scores[atom] < least || scores[atom] < 0) continue;
        auto exactly = std::abs(product(left.data(), row(atom), left.size()));
        if (!factors.empty()) exactly *= factors[static_cast<std::size_t>(atom)];
        if (exactly > largest) largest = exactly, found = atom;
      }
      return found;
    }
  };

  Combinations pursue(const xp::VocabSetting& setting, const at::Tensor& table,
                      const std::vector<xp::Anchor>& anchors, const std::vector<xp::TokenId>& wanted) const {
    constexpr std::size_t kBlock = 256;
    std::vector<std::int64_t> ids;
    for (const auto& anchor : anchors) ids.push_back(anchor.target);
    const Atoms atoms(table.index_select(0, xp::tensor_of(ids)).contiguous(), p_.unit_atoms);
    Combinations out;
    for (std::size_t begin = 0; begin < wanted.size(); begin += kBlock) {
      setting.progressed(static_cast<double>(begin), static_cast<double>(wanted.size()), "seeking combinations");
      const std::vector<xp::TokenId> block(
          wanted.begin() + static_cast<std::ptrdiff_t>(begin),
          wanted.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kBlock, wanted.size())));
      for (const auto& one : choose(atoms, table, block)) {
        const auto weights = one.solve();
        auto& parts = out.emplace_back();
        for (std::size_t i = 0; i < weights.size(); ++i)
          parts.push_back({anchors[static_cast<std::size_t>(one.atoms[i])].source, weights[i]});
      }
    }
    return out;
  }

  std::vector<Pursuit> choose(const Atoms& atoms, const at::Tensor& table,
                              const std::vector<xp::TokenId>& wanted) const {
    const auto all = atoms.exact.size(0), width = atoms.exact.size(1), most = std::min({p_.atoms, all, width});
    std::vector<Pursuit> out;
    auto left = xp::ops::empty({std::ssize(wanted), width}, at::kFloat);
    for (const auto row : wanted) {
      const auto own = table[row].contiguous();
      const auto* numbers = own.const_data_ptr<double>();
      out.push_back({.left = {numbers, numbers + width}, .size = own.norm().item<double>()});
    }
    for (std::int64_t step = 0; step < most; ++step) {
      for (std::size_t i = 0; i < out.size(); ++i)
        std::transform(out[i].left.begin(), out[i].left.end(),
                       left.mutable_data_ptr<float>() + static_cast<std::int64_t>(i) * width,
                       [](double x) { return static_cast<float>(x); });
      const auto scores = left.matmul(atoms.quick).abs_();
      for (std::size_t i = 0; i < out.size(); ++i) {
        auto& one = out[i];
        // What is left is rounding error: further atoms would fit noise.
        if (std::ssize(one.atoms) < step || !one.wants_more()) continue;
        auto* own = scores.mutable_data_ptr<float>() + static_cast<std::int64_t>(i) * all;
        for (const auto atom : one.atoms) own[atom] = -1;
        const auto best = atoms.best(one.left, one.length(), own);
        if (best >= 0) one.add(best, atoms.row(best));
      }
    }
    return out;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(omp) {
  registry.add<Omp>("omp", "Combinations of few shared rows that make up the token's row in another model.");
}
