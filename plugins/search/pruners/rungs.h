#pragma once
// What the pruners share: which curve they watch and where, and what they were told.
#include "api/search.h"
#include "schema/fields.h"

namespace xp::pruners {

struct Watch {
  std::vector<Quantity> rungs;
  std::string metric, better = "lower";

  template <class P>
  static void describe(Fields<P>& f, std::vector<Quantity> P::*rungs, std::string P::*metric,
                       std::string P::*better) {
    f.add(rungs, "rungs", "Where trials rest until they may go on: rising shares of the stage's budget.")
        .units({Unit::percent})
        .required();
    f.add(metric, "metric", "The curve that is compared, of one training stage: `pretrain.loss`.").required();
    f.add(better, "better", "Which of two values is better.").choices({"lower", "higher"});
  }

  /// Throws Error (Exit::usage) for rungs that do not rise within (0 %, 100 %).
  PruneRule rule() const;
};

struct Told {
  std::int64_t trial = 0;
  double value = 0;  ///< infinite where it was no number
  bool promoted = false;
};

/// What was told at each rung, in that order.
class Rungs {
 public:
  explicit Rungs(std::size_t rungs) : told_(rungs) {}
  std::size_t size() const { return told_.size(); }
  std::vector<Told>& at(std::size_t rung) { return told_[rung]; }
  /// Throws Error for a rung that is not there and for a trial that was told at it before.
  void tell(std::int64_t trial, std::size_t rung, double value);

 private:
  std::vector<std::vector<Told>> told_;
};

}  // namespace xp::pruners
