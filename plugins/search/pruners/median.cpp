#include <algorithm>

#include "components.h"
#include "rungs.h"

namespace xp::pruners {
namespace {

/// Golovin et al. 2017 ("Google Vizier", section 3.2.2), with the values at a rung in place of running averages: a
/// trial goes on if its value is no worse than the median of those told at the rung before it. What it is told later
/// changes nothing.
class Median final : public Pruner {
 public:
  struct Params {
    std::vector<Quantity> rungs;
    std::int64_t startup = 5;
    std::string metric, better = "lower";
    static void describe(Fields<Params>& f) {
      Watch::describe(f, &Params::rungs, &Params::metric, &Params::better);
      f.add(&Params::startup, "startup", "Trials that go on from a rung before any is stopped there.").min(1);
    }
  };
  explicit Median(Params params)
      : startup_(static_cast<std::size_t>(params.startup)),
        rule_(Watch{params.rungs, params.metric, params.better}.rule()),
        rungs_(rule_.rungs.size()) {}

  PruneRule rule() const override { return rule_; }

  void tell(std::int64_t trial, std::size_t rung, double value) override {
    rungs_.tell(trial, rung, value);
    const auto& told = rungs_.at(rung);
    const auto before = told.size() - 1;
    if (before < startup_ || told.back().value <= median(told, before)) passed_.push_back(trial);
  }

  std::optional<std::int64_t> promote() override {
    if (next_ == passed_.size()) return {};
    return passed_[next_++];
  }

 private:
  /// Of the first `n` values; the mean of the two in the middle where n is even.
  static double median(const std::vector<Told>& told, std::size_t n) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(told[i].value);
    std::sort(values.begin(), values.end());
    return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
  }

  std::size_t startup_;
  PruneRule rule_;
  Rungs rungs_;
  std::vector<std::int64_t> passed_;  ///< in the order of promotion
  std::size_t next_ = 0;
};

}  // namespace

void add_median(Registry& registry) {
  registry.add<Median>("median", "Stops what is worse at a rung than the median of those before it.");
}

}  // namespace xp::pruners
