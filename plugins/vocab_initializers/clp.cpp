#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>

#include <cmath>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/donor_rows.h"
#include "kit/tensors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "plugin/plugin.h"

namespace {

enum class Fit { cosine, ridge };

/// CLP-Transfer (Ostendorff and Rehm 2023, arXiv 2301.09626): a new row mixes the rows of all shared tokens by their
/// cosine in a small model of the new vocabulary, divided by the sum of the cosines. Cosines are products of unit
/// vectors, so the mix is a linear map from the small model's space, and no weight is ever stored.
class Clp final : public xp::VocabInitializer {
 public:
  struct Params {
    xp::Reference donor;
    Fit fit = Fit::cosine;
    double ridge = 1e-3;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::as_told;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::donor, "donor", "A model of the new vocabulary.").artifact("checkpoint").required();
      f.add(&Params::fit, "fit",
            "The published map by cosines, or its control: the map of the same form that fits shared rows best.",
            {{"cosine", Fit::cosine}, {"ridge", Fit::ridge}});
      f.add(&Params::ridge, "ridge", "Penalty on that map, per shared token.").above(0);
      f.add(&Params::fallback, "fallback", "Tokens that the donor lacks, or whose cosines cancel out.",
            xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
            xp::token_match_names());
    }
  };
  explicit Clp(Params params) : p_(std::move(params)) {}

  const xp::Reference* donor() const override { return &p_.donor; }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto rows = xp::donor_rows(setting, plan);
    const auto unit = rows.input.div(rows.input.norm(2, 1, true).clamp_min(1e-30));
    std::vector<std::int64_t> target, source;
    for (const auto& anchor : rows.anchors) target.push_back(anchor.target), source.push_back(anchor.source);
    const auto shared = unit.index_select(0, xp::tensor_of(target));  // [anchors, width of the donor]
    std::vector<std::pair<std::string, at::Tensor>> made;
    for (const auto& [role, table] : xp::old_tables(setting))
      made.emplace_back(role, unit.matmul(map(shared, table.index_select(0, xp::tensor_of(source)))).contiguous());
    const auto sums = unit.matmul(shared.sum(0)).contiguous();
    write(setting, plan, rows, made, sums.const_data_ptr<double>());
  }

 private:
  at::Tensor map(const at::Tensor& shared, const at::Tensor& rows) const {
    const auto products = shared.t().matmul(rows);
    if (p_.fit == Fit::cosine) return products;
    const auto penalty =
        at::eye(shared.size(1), shared.options()).mul(p_.ridge * static_cast<double>(shared.size(0)));
    return at::linalg_solve(shared.t().matmul(shared).add(penalty), products);
  }

  void write(const xp::VocabSetting& setting, xp::MixPlan& plan, const xp::DonorRows& rows,
             const std::vector<std::pair<std::string, at::Tensor>>& made, const double* sums) const {
    // Below this the quotient is made of rounding errors.
    const double least = 1e-9 * static_cast<double>(rows.anchors.size());
    std::vector<xp::TokenId> bare;
    for (const auto row : plan.open_rows()) {
      const double divisor = p_.fit == Fit::ridge ? 1.0 : sums[row];
      if (!rows.covered[static_cast<std::size_t>(row)] || std::abs(divisor) < least) {
        bare.push_back(row);
        continue;
      }
      for (const auto& [role, numbers] : made) {
        const auto* from = numbers.const_data_ptr<double>() + row * numbers.size(1);
        std::vector<float> own;
        for (std::int64_t d = 0; d < numbers.size(1); ++d) own.push_back(static_cast<float>(from[d] / divisor));
        plan.set_dense_row(row, role, own, "similarity");
      }
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "the donor lacks the token, or its cosines cancel out");
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(clp) {
  registry.add<Clp>("clp", "Mixes all shared rows by their cosines in a small model of the new vocabulary.");
}
