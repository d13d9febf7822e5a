#include <algorithm>
#include <cmath>
#include <numeric>

#include "axes.h"
#include "base/text.h"
#include "components.h"
#include "evolution.h"

namespace xp::searches {
namespace {

/// CMA-ES (see evolution.h) on axes of numbers: ranges, and lists by the order of their values. A generation is
/// proposed whole, and the next one once all of it is told, in whatever order. Trials that failed or were pruned rank
/// last, the one that came further before the other; a generation of such trials alone moves nothing.
class CmaEs final : public Search {
 public:
  struct Params {
    std::int64_t trials = 20, population = 0;
    double sigma = 0.3;
    static void describe(Fields<Params>& f) {
      f.needs("sweep", "goal");
      f.add(&Params::trials, "trials", "How many there are; more of them later leave the first as they were.").min(1);
      f.add(&Params::population, "population", "Trials of a generation; 0: 4 + 3 ln(number of axes), rounded down.")
          .min(0);
      f.add(&Params::sigma, "sigma", "Standard deviation at the start, as a share of each range.").above(0).max(1);
    }
  };
  explicit CmaEs(Params params) : p_(params) {
    if (p_.population == 1) refuse("`population` = 1 has nobody to rank against; write 0 or at least 2");
  }

  void start(SearchSpace space) override {
    random_ = space.random;
    axes_ = Axes(std::move(space.axes));
    for (const auto& axis : axes_.list())
      if (!axis.when.empty())
        refuse("cma_es asks every axis of every trial and " + backquoted(axis.key) +
               " has a `when`; search by tpe or at random");
    for (const auto& dimension : axes_.dimensions()) orders_.push_back(order(dimension));
    const auto n = axes_.dimensions().size();
    if (p_.population == 0) p_.population = 4 + static_cast<std::int64_t>(3 * std::log(std::max<double>(n, 1)));
    evolution_ = Evolution(n, static_cast<std::size_t>(p_.population), p_.sigma);
  }

  std::optional<Trial> propose() override {
    const auto number = first_ + static_cast<std::int64_t>(samples_.size());
    if (finished() || number - first_ == p_.population) return {};
    samples_.push_back(evolution_.sample(random_.stream(number)));
    results_.emplace_back();
    Point point;
    for (std::size_t d = 0; d < orders_.size(); ++d) {
      const double x = samples_.back()[d];
      const auto rows = static_cast<double>(orders_[d].size());
      const auto row = static_cast<std::size_t>(std::min(x * rows, rows - 1));
      point.push_back(orders_[d].empty() ? x : static_cast<double>(orders_[d][row]));
    }
    return Trial{number, axes_.values(point)};
  }

  void tell(const TrialResult& result) override {
    const auto proposed = first_ + static_cast<std::int64_t>(samples_.size());
    if (result.number < first_) return;  // a pruned trial that went on after all: its generation is over
    results_[proposed_index(result.number, proposed) - static_cast<std::size_t>(first_)] = result;
    if (proposed - first_ < p_.population) return;
    if (std::all_of(results_.begin(), results_.end(), [](const auto& one) { return one.has_value(); })) next();
  }

  bool finished() const override {
    return first_ + static_cast<std::int64_t>(samples_.size()) >= most_trials(axes_, p_.trials);
  }

 private:
  /// Rows of a list by their numbers; nothing for a range.
  std::vector<std::size_t> order(const Dimension& dimension) const {
    const auto& axis = axes_.list()[dimension.axes.front()];
    for (const auto& value : axis.values)
      if (!value.is_number())
        refuse("cma_es searches among numbers and " + backquoted(axis.key) + " can be " + to_text(value) +
               "; search by tpe or at random");
    std::vector<std::size_t> out(dimension.rows);
    std::iota(out.begin(), out.end(), 0);
    std::stable_sort(out.begin(), out.end(),
                     [&](std::size_t a, std::size_t b) { return axis.values[a].number() < axis.values[b].number(); });
    return out;
  }

  static bool is_better(const TrialResult& a, const TrialResult& b) {
    if (is_good(a) != is_good(b)) return is_good(a);
    return is_good(a) ? a.goal < b.goal : a.progress > b.progress;
  }

  void next() {
    std::vector<std::size_t> order(samples_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return is_better(*results_[a], *results_[b]); });
    if (is_good(*results_[order.front()])) {
      std::vector<std::vector<double>> ranked;
      for (const auto i : order) ranked.push_back(std::move(samples_[i]));
      evolution_.update(ranked);
    }
    first_ += p_.population;
    samples_.clear(), results_.clear();
  }

  Params p_;
  Axes axes_;
  std::vector<std::vector<std::size_t>> orders_;  ///< of each dimension
  RandomStreams random_{0};
  Evolution evolution_;
  std::int64_t first_ = 0;  ///< number of this generation's first trial
  std::vector<std::vector<double>> samples_;
  std::vector<std::optional<TrialResult>> results_;
};

}  // namespace

void add_cma_es(Registry& registry) {
  registry.add<CmaEs>("cma_es", "Moves and shapes a normal distribution by the ranks of its samples (CMA-ES).");
}

}  // namespace xp::searches
