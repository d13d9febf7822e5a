#include <algorithm>
#include <cmath>

#include "components.h"
#include "rungs.h"

namespace xp::pruners {
namespace {

/// Li et al. 2020 ("A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, algorithm 2, get_job):
/// looks from the highest rung down for a trial that is among the best floor(keep * n) of the n told there and has
/// not been promoted. It never waits for a rung to fill, so that early trials may pass that later ones would have
/// stopped.
class Asha final : public Pruner {
 public:
  struct Params {
    std::vector<Quantity> rungs;
    double keep = 0.33;
    std::string metric, better = "lower";
    static void describe(Fields<Params>& f) {
      Watch::describe(f, &Params::rungs, &Params::metric, &Params::better);
      f.add(&Params::keep, "keep", "Share of the trials of a rung that may go on: 1 / eta.").above(0).below(1);
    }
  };
  explicit Asha(Params params)
      : keep_(params.keep),
        rule_(Watch{params.rungs, params.metric, params.better}.rule()),
        rungs_(rule_.rungs.size()) {}

  PruneRule rule() const override { return rule_; }
  void tell(std::int64_t trial, std::size_t rung, double value) override { rungs_.tell(trial, rung, value); }

  std::optional<std::int64_t> promote() override {
    for (std::size_t rung = rungs_.size(); rung-- > 0;) {
      auto& told = rungs_.at(rung);
      std::vector<Told*> best;
      for (auto& one : told) best.push_back(&one);
      std::sort(best.begin(), best.end(), [](const Told* a, const Told* b) {
        return a->value != b->value ? a->value < b->value : a->trial < b->trial;
      });
      constexpr double kRounding = 1e-9;  // 0.29 * 100 is a little below 29
      best.resize(static_cast<std::size_t>(std::floor(keep_ * static_cast<double>(told.size()) + kRounding)));
      for (auto* one : best)
        if (!one->promoted) {
          one->promoted = true;
          return one->trial;
        }
    }
    return {};
  }

 private:
  double keep_;
  PruneRule rule_;
  Rungs rungs_;
};

}  // namespace

void add_asha(Registry& registry) {
  registry.add<Asha>("asha", "Lets the best share of each rung go on, without waiting for a rung to fill (ASHA).");
}

}  // namespace xp::pruners
