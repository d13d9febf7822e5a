#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "axes.h"
#include "components.h"
#include "parzen.h"

namespace xp::searches {
namespace {

/// Bergstra et al. 2011, section 4: of the candidates that l draws it takes the one for which l(x) / g(x) is largest,
/// l being the density of the good trials and g that of the others (parzen.h). Good are the best min(ceil(n / 10),
/// 25) of n told, the rule of Optuna 5 (`default_gamma` in optuna/samplers/_tpe/sampler.py). Trials that failed, were
/// pruned, or have not been told yet are among the others ("constant liar").
class Tpe final : public Search {
 public:
  struct Params {
    std::int64_t trials = 20, startup = 10, candidates = 24;
    static void describe(Fields<Params>& f) {
      f.needs("sweep", "goal");
      f.add(&Params::trials, "trials", "How many there are; more of them later leave the first as they were.").min(1);
      f.add(&Params::startup, "startup", "Trials that must be told before any is proposed otherwise than at random.")
          .min(1);
      f.add(&Params::candidates, "candidates",
            "Trials that are drawn for each, of which the most promising is taken.")
          .min(1);
    }
  };
  explicit Tpe(Params params) : p_(params) {}

  void start(SearchSpace space) override {
    random_ = space.random;
    axes_ = Axes(std::move(space.axes));
  }

  std::optional<Trial> propose() override {
    if (finished()) return {};
    const auto number = static_cast<std::int64_t>(trials_.size());
    Known next;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      // An equal trial would say nothing new; a small space may hold no other.
      const auto random = attempt == 0 ? random_ : random_.child("again " + std::to_string(attempt));
      next.point = told_ < p_.startup ? random_point(axes_, random, number) : likely_point(random, number);
      next.values = axes_.values(next.point);
      if (is_new(next.values)) break;
    }
    next.asked = asked_part(next.point, next.values);
    known_.insert(text_of(next.values));
    trials_.push_back(next);
    return Trial{number, std::move(next.values)};
  }

  void tell(const TrialResult& result) override {
    auto& trial = trials_[proposed_index(result.number, static_cast<std::int64_t>(trials_.size()))];
    if (!trial.result) ++told_;
    trial.result = result;
  }

  bool finished() const override {
    return static_cast<std::int64_t>(trials_.size()) >= most_trials(axes_, p_.trials);
  }

 private:
  static constexpr int kAttempts = 10;
  static constexpr std::size_t kMostGood = 25;

  struct Known {
    Point point, asked;
    Values values;
    std::optional<TrialResult> result;
  };

  static std::string text_of(const Values& values) {
    std::string out;
    for (const auto& [key, value] : values) out += key + "=" + to_text(value) + "\n";
    return out;
  }

  bool is_new(const Values& values) const { return !known_.contains(text_of(values)); }

  /// The best of the trials that were told, by number where goals are equal.
  std::vector<bool> good() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < trials_.size(); ++i)
      if (trials_[i].result && is_good(*trials_[i].result)) order.push_back(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return trials_[a].result->goal < trials_[b].result->goal; });
    const auto tenth = static_cast<std::size_t>((told_ + 9) / 10);
    order.resize(std::min({order.size(), tenth, kMostGood}));
    std::vector<bool> out(trials_.size());
    for (const auto i : order) out[i] = true;
    return out;
  }

  Point likely_point(const RandomStreams& random, std::int64_t number) const {
    const auto is_good_one = good();
    std::vector<Point> seen[2];  // others, good
    for (std::size_t i = 0; i < trials_.size(); ++i) seen[is_good_one[i]].push_back(trials_[i].asked);
    std::vector<std::size_t> rows;
    for (const auto& dimension : axes_.dimensions()) rows.push_back(dimension.rows);
    const Parzen good_ones(seen[1], rows), others(seen[0], rows);
    auto stream = random.stream(number);
    Point best;
    double most = 0;
    bool new_found = false;
    for (std::int64_t i = 0; i < p_.candidates; ++i) {
      auto candidate = good_ones.draw(stream);
      const auto values = axes_.values(candidate);
      const auto asked = asked_part(candidate, values);
      const double gain = good_ones.log_density(asked) - others.log_density(asked);
      const bool is_new_one = is_new(values);
      if (i == 0 || is_new_one > new_found || (is_new_one == new_found && gain > most))
        best = std::move(candidate), most = gain, new_found = is_new_one;
    }
    return best;
  }

  /// As densities see it: whole numbers in the middle of their shares, a NaN where nothing is asked.
  Point asked_part(Point point, const Values& values) const {
    for (std::size_t d = 0; d < point.size(); ++d) {
      const auto& dimension = axes_.dimensions()[d];
      if (!axes_.is_asked(d, values))
        point[d] = std::nan("");
      else if (dimension.rows == 0)
        point[d] = settled(axes_.list()[dimension.axes.front()], point[d]);
    }
    return point;
  }

  Params p_;
  Axes axes_;
  RandomStreams random_{0};
  std::vector<Known> trials_;
  std::set<std::string> known_;  ///< the values of all trials, as text
  std::int64_t told_ = 0;
};

}  // namespace

void add_tpe(Registry& registry) {
  registry.add<Tpe>("tpe", "Draws where good trials lie dense and others do not (tree-structured Parzen estimator).");
}

}  // namespace xp::searches
