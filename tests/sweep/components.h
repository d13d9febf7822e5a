#pragma once
// A search and a pruner that tests can follow by hand.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "plugin/registry.h"
#include "sweep/decider.h"

namespace xp::test {

/// Proposes x = 0, 1, 2, ... `trials` times, at most `ahead` without a result.
class Counting final : public Search {
 public:
  struct Params {
    std::int64_t trials = 3, ahead = 100, step = 1;
    static void describe(Fields<Params>& f) {
      f.add(&Params::trials, "trials", "How many.");
      f.add(&Params::ahead, "ahead", "How many without a result.");
      f.add(&Params::step, "step", "Between values.");
    }
  };
  explicit Counting(Params params) : p_(params) {}
  void start(SearchSpace space) override { key_ = space.axes.at(0).key; }
  std::optional<Trial> propose() override {
    if (finished() || next_ - told_ >= p_.ahead) return std::nullopt;
    Trial out{next_, {{key_, Value(next_ * p_.step)}}};
    ++next_;
    return out;
  }
  void tell(const TrialResult&) override { ++told_; }
  bool finished() const override { return next_ >= p_.trials; }

 private:
  Params p_;
  std::string key_;
  std::int64_t next_ = 0, told_ = 0;
};

/// Promotes the better half of those told at each rung.
class Half final : public Pruner {
 public:
  struct Params {
    static void describe(Fields<Params>&) {}
  };
  explicit Half(Params) {}
  PruneRule rule() const override { return {"pretrain.loss", false, {0.25, 0.5}}; }
  void tell(std::int64_t trial, std::size_t rung, double value) override { told_[rung].emplace_back(value, trial); }
  std::optional<std::int64_t> promote() override {
    for (auto rung = told_.rbegin(); rung != told_.rend(); ++rung) {
      auto sorted = rung->second;
      std::sort(sorted.begin(), sorted.end());
      for (std::size_t i = 0; i < sorted.size() / 2; ++i)
        if (gone_.insert({rung->first, sorted[i].second}).second) return sorted[i].second;
    }
    return std::nullopt;
  }

 private:
  std::map<std::size_t, std::vector<std::pair<double, std::int64_t>>> told_;
  std::set<std::pair<std::size_t, std::int64_t>> gone_;
};

inline Registry sweep_registry() {
  Registry out;
  out.add<Counting>("counting", "Counts.");
  out.add<Half>("half", "Halves.");
  return out;
}

inline sweep::Rules counting_rules(std::int64_t trials, std::vector<std::string> arms = {"main"}) {
  sweep::Rules out;
  out.goal = "score.x", out.arms = std::move(arms), out.seeds = {0};
  out.method = Table{{"type", "counting"}, {"trials", trials}};
  out.axes = {Value(Table{{"key", "stage.a.x"}, {"values", List{0, 1, 2}}})};
  for (const auto& name : sweep::failure_classes()) out.retries[name] = 0;
  return out;
}

}  // namespace xp::test
