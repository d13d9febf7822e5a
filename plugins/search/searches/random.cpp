#include "axes.h"
#include "components.h"

namespace xp::searches {
namespace {

/// Draws every axis by the trial's number and its own key, so that neither more trials nor another axis moves a
/// value.
class Random final : public Search {
 public:
  struct Params {
    std::int64_t trials = 20;
    static void describe(Fields<Params>& f) {
      f.add(&Params::trials, "trials", "How many there are; more of them later leave the first as they were.").min(1);
    }
  };
  explicit Random(Params params) : p_(params) {}

  void start(SearchSpace space) override {
    random_ = space.random;
    axes_ = Axes(std::move(space.axes));
  }

  std::optional<Trial> propose() override {
    if (finished()) return {};
    Trial out{next_, axes_.values(random_point(axes_, random_, next_))};
    ++next_;
    return out;
  }

  void tell(const TrialResult&) override {}
  bool finished() const override { return next_ >= most_trials(axes_, p_.trials); }

 private:
  Params p_;
  Axes axes_;
  RandomStreams random_{0};
  std::int64_t next_ = 0;
};

}  // namespace

void add_random(Registry& registry) {
  registry.add<Random>("random", "Draws every axis from its range or list, each by itself.");
}

}  // namespace xp::searches
