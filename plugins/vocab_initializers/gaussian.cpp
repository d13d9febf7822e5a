#include <ATen/ops/linalg_cholesky_ex.h>

#include <cmath>
#include <numbers>
#include <set>

#include "api/ops.h"
#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "kit/vocab_tables.h"
#include "plugin/plugin.h"

namespace {

enum class Covariance { full, diagonal };

/// Rows from a normal distribution with the mean and the scaled covariance of the old rows (Hewitt 2021).
class Gaussian final : public xp::VocabInitializer {
 public:
  struct Params {
    double scale = 1e-5;
    Covariance covariance = Covariance::full;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::scale, "scale",
            "Factor of the covariance; 1 keeps the old rows' spread, the usual 1e-5 is the mean with a trace of "
            "noise.")
          .min(0);
      f.add(&Params::covariance, "covariance", "All of it, or the variances of single dimensions alone.",
            {{"full", Covariance::full}, {"diagonal", Covariance::diagonal}});
    }
  };
  explicit Gaussian(Params params) : p_(params) {}

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto open = plan.open_rows();
    std::set<const void*> seen;
    const auto& weights = xp::weights_of(setting);
    for (xp::Param i = 0; i < weights.size(); ++i)
      if (weights.info[i].role.starts_with("vocab.") && seen.insert(weights.values[i].unsafeGetTensorImpl()).second)
        draw(weights.values[i], weights.info[i].role, open, setting.random, plan);
  }

 private:
  void draw(const at::Tensor& table, const std::string& role, const std::vector<xp::TokenId>& open,
            const xp::RandomStreams& random, xp::MixPlan& plan) const {
    const auto rows = table.detach().to(at::kDouble).reshape({table.size(0), -1});
    const auto mean = rows.mean(0, true);
    const auto width = rows.size(1);
    const auto centred = rows.sub(mean);
    const bool full = p_.covariance == Covariance::full;
    const auto factor = full ? root(centred.t().matmul(centred).div(static_cast<double>(rows.size(0))))
                             : centred.square().mean(0).sqrt();
    for (const auto row : open) {
      auto z = xp::ops::empty({width}, at::kDouble);
      auto stream = random.child(role).stream(0, static_cast<std::uint64_t>(row));
      for (std::int64_t d = 0; d < width; ++d) {
        const double radius = std::sqrt(-2 * std::log(stream.uniform())),
                     angle = 2 * std::numbers::pi * stream.uniform();
        z.mutable_data_ptr<double>()[d] = radius * std::cos(angle);
      }
      // A bias keeps the mean: noise on it would only tilt the prior over tokens.
      const auto noise = width == 1 ? z.mul(0) : (full ? factor.matmul(z) : factor.mul(z)).mul(std::sqrt(p_.scale));
      const auto numbers = mean.squeeze(0).add(noise).to(at::kFloat).contiguous();
      plan.set_dense_row(row, role, {numbers.const_data_ptr<float>(), static_cast<std::size_t>(width)}, "gaussian");
    }
  }

  // The covariance of fewer rows than dimensions is singular; the smallest ridge that helps is added.
  static at::Tensor root(const at::Tensor& covariance) {
    const double size = covariance.diagonal().mean().item<double>();
    for (double ridge = 0; ridge <= 1e-2; ridge = ridge == 0 ? 1e-12 : ridge * 10) {
      auto ridged = covariance.clone();
      ridged.diagonal().add_(ridge * size);
      const auto [factor, info] = at::linalg_cholesky_ex(ridged);
      if (info.item<int>() == 0) return factor;
    }
    throw xp::Error(
        "the covariance of the old rows has no Cholesky factor; the table holds numbers that are not finite");
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(gaussian) {
  registry.add<Gaussian>("gaussian", "Normal rows with the mean and scaled covariance of the old rows.");
}
