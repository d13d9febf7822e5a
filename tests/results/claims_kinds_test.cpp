// Verdicts: gates, counts, times, items, trends, and claims that are wrong, on studies made by hand.
#include "claims.h"

#include <cmath>
#include <limits>

#include "base/random.h"

namespace {

using namespace xp;

TEST_CASE("gates must hold in every run that a claim reads") {
  auto claim = better_than({"old"});
  claim.gate = {"score.task.accuracy > 0.495"};
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld).arm("other", V(6, 0.1));
  auto v = one(claim, hand);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "the gate `score.task.accuracy > 0.495` does not hold for arm `old`, seed 2: it is 0.49");
  claim.gate = {"score.task.accuracy >= 49%"};
  CHECK(one(claim, hand).outcome == Outcome::pass);  // arm `other` is none of the claim's

  Problems problems;
  CHECK_FALSE(parse_gate("score.task.accuracy", {}, problems));
  CHECK_FALSE(parse_gate("score.task.accuracy > high", {}, problems));
  CHECK_FALSE(parse_gate("score > 3", {}, problems));
  CHECK_FALSE(parse_gate("score.a > 3 tokens", {}, problems));
  CHECK(problems.errors() == 4);
  CHECK(parse_gate("a.b <= -0.5", {}, problems)->bound == -0.5);
}

TEST_CASE("counts are compared exactly, and only if they do not vary") {
  const auto flops = [](HandStudy& hand, const std::string& arm, const V& values) {
    for (std::size_t seed = 0; seed < values.size(); ++seed)
      hand.run(arm, static_cast<std::int64_t>(seed)).stages["pretrain"].counters.flops_effective = values[seed];
  };
  auto claim = better_than({"old"});
  claim.metric = "pretrain.flops_effective", claim.test = "exact", claim.better = "lower";
  HandStudy half;
  flops(half, "new", {5e9, 5e9}), flops(half, "old", {1e10, 1e10});
  auto v = one(claim, half);
  CHECK(v.outcome == Outcome::pass);
  CHECK(v.baselines[0].mean == 5e9);
  HandStudy same;
  flops(same, "new", {1e10, 1e10}), flops(same, "old", {1e10, 1e10});
  CHECK(one(claim, same).outcome == Outcome::fail);
  HandStudy varies;
  flops(varies, "new", {5e9, 6e9}), flops(varies, "old", {1e10, 1e10});
  v = one(claim, varies);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "there are 5e+09 and 6e+09");
}

TEST_CASE("time needs an exclusive host, and one") {
  auto claim = better_than({"old"});
  claim.metric = "pretrain.seconds_per_step", claim.better = "lower", claim.exclusive = true;
  HandStudy hand;
  for (const auto& [arm, seconds] : {std::pair{"new", 10.0}, std::pair{"old", 20.0}})
    for (int seed = 0; seed < 6; ++seed)
      hand.run(arm, seed).stages["pretrain"].counters = {.steps = 100, .seconds = seconds + seed};
  for (auto& member : hand.study.members) member.stages["pretrain"] = member.stages["score"];
  CHECK(one(claim, hand).outcome == Outcome::pass);
  hand.study.members[3].host = "there";
  has(one(claim, hand).reason, "needs one host, but the runs are from `here` and `there`");
  claim.exclusive = false;
  CHECK(one(claim, hand).outcome == Outcome::undecided);
}

TEST_CASE("over items: pairs by id, means over seeds, and a test set that must be the same") {
  auto claim = better_than({"old"});
  claim.unit = "item";
  const auto items = [](HandStudy& hand, const std::string& arm, std::int64_t seed, int n, double right,
                        int from = 0) {
    auto& stage = hand.run(arm, seed).stages["score"];
    auto& table = stage.items["task"];
    RandomStream random(static_cast<std::uint64_t>(seed) + 10 * arm.size());
    for (int i = 0; i < n; ++i) {
      table.ids.push_back("item" + std::to_string(i + from));
      table.columns["accuracy"].push_back(random.uniform() < right ? 1 : 0);
    }
    stage.finals["task.accuracy"] = {mean_of(table.columns["accuracy"]), HandStudy::share()};
  };
  HandStudy hand;
  for (int seed = 0; seed < 2; ++seed) items(hand, "new", seed, 200, 0.9), items(hand, "old", seed, 200, 0.6);
  auto v = one(claim, hand);
  CHECK(v.outcome == Outcome::pass);
  CHECK(v.test == "paired_bootstrap");
  CHECK(v.n == 200);
  const auto final = [&](std::size_t i) {
    return hand.study.members[i].records->record("score")->finals.at("task.accuracy").value;
  };
  CHECK(v.baselines[0].mean == Approx((final(0) + final(2)) / 2 - (final(1) + final(3)) / 2));
  has(to_text(v), "Over items: the 2 training seeds stand for themselves");
  claim.test = "mcnemar";
  has(one(claim, hand).reason, "mcnemar needs items that are 0 or 1");

  HandStudy single;
  items(single, "new", 0, 200, 0.9), items(single, "old", 0, 200, 0.6);
  v = one(claim, single);
  CHECK(v.outcome == Outcome::pass);
  std::int64_t mine = 0, other = 0;
  for (const double d : v.baselines[0].differences) mine += d > 0, other += d < 0;
  CHECK(v.p == Approx(mcnemar(mine, other)));

  HandStudy unlike;
  items(unlike, "new", 0, 200, 0.9), items(unlike, "old", 0, 200, 0.6, 1);
  has(one(claim, unlike).reason, "scored on different items");
  HandStudy none;
  none.arm("new", {0.9}).arm("old", {0.1});
  has(one(claim, none).reason, "recorded no items for `score.task.accuracy`");
}

TEST_CASE("a trend is judged by slopes per seed over the swept key") {
  const auto sweep = [](double new_slope, double noise) {
    HandStudy hand;
    RandomStream random(4);
    for (const auto& [arm, slope] : {std::pair{"new", new_slope}, std::pair{"old", 0.01}})
      for (int seed = 0; seed < 6; ++seed)
        for (const double size : {2e5, 8e5, 3e6, 8e6}) {
          auto& records = hand.run(arm, seed, std::to_string(size));
          const double y = 0.2 + slope * std::log(size) + noise * (random.uniform() - 0.5);
          records.stages["score"].finals["task.accuracy"] = {y, HandStudy::share()};
          auto& member = hand.study.members.back();
          member.stages["synthetic"] = "made";
          const auto bytes = std::to_string(static_cast<std::int64_t>(size / 1000)) + " kB";
          member.nodes = std::make_shared<Table>(
              Table{{"made", Table{{"name", "synthetic"}, {"settings", Table{{"stop", bytes}}}}}});
        }
    return hand;
  };
  auto claim = better_than({"old"});
  claim.slope = SlopeSpec{"log(stage.synthetic.stop)"};
  auto v = one(claim, sweep(0.05, 0.001));
  CHECK(v.outcome == Outcome::pass);
  CHECK(v.n == 6);
  CHECK(v.baselines[0].mean == Approx(0.04).margin(0.001));
  CHECK(one(claim, sweep(0.0, 0.001)).outcome == Outcome::fail);
  claim.baseline.clear();  // against no trend at all
  CHECK(one(claim, sweep(0.05, 0.001)).outcome == Outcome::pass);
  claim.slope->over = "stage.synthetic.size";
  has(one(claim, sweep(0.05, 0.001)).reason, "the stored plan says no `stage.synthetic.size`");
  claim.slope->over = "synthetic";
  has(one(claim, sweep(0.05, 0.001)).reason, "is no key that a slope can be over");
}

TEST_CASE("mistakes of claims are found before anything runs") {
  const auto found = [](ClaimSpec claim, std::size_t seeds = 6) {
    Problems problems;
    check_claim(claim, seeds, {}, problems);
    return problems.list().empty() ? std::string()
                                   : problems.list().front().message + " | " + problems.list().front().hint;
  };
  const auto good = better_than({"old"});
  CHECK(found(good).empty());
  auto claim = good;
  claim.test = "paired_bootstrap";
  has(found(claim), "is a test over items");
  claim = good, claim.metric = "score.similarity.spearman[*]";
  has(found(claim), "write `mean(score.similarity.spearman[*])`");
  claim = good, claim.metric = "mean(pretrain.seconds)";
  has(found(claim), "is about time");
  claim = good, claim.baseline.clear();
  has(found(claim), "has no `baseline`");
  claim = good, claim.baseline = {"new"};
  has(found(claim), "are both `new`");
  has(found(good, 4),
      "will be UNDECIDED: 4 seeds reach p = 0.0625 at best, above alpha 0.05 | 5 seeds can decide it");
  has(found(better_than({"a", "b", "c"}), 5), "5 seeds reach p = 0.09375 at best, above alpha 0.05 | 6 seeds");
  Problems problems;
  check_claim(good, 4, {}, problems);
  CHECK(problems.errors() == 0);
}

TEST_CASE("under a true null claims pass as often as alpha says, and controls do not change that") {
  RandomStream random(9);
  int passed = 0, with_control = 0;
  constexpr int kDraws = 600;
  auto claim = better_than({"old"});
  auto controlled = claim;
  controlled.control = ControlSpec{.arm = "control", .margin = 1};
  for (int draw = 0; draw < kDraws; ++draw) {
    HandStudy hand;
    for (const auto* arm : {"new", "old", "control"}) {
      V values(6);
      for (auto& value : values) value = random.uniform();
      hand.arm(arm, values);
    }
    passed += one(claim, hand).outcome == Outcome::pass;
    with_control += one(controlled, hand).outcome == Outcome::pass;
  }
  CHECK(passed / double{kDraws} == Approx(3.0 / 64).margin(0.035));  // 4 standard errors
  CHECK(passed > 0);
  CHECK(with_control <= passed);
}

TEST_CASE("a claim on pure noise passes no more often than alpha, by every test over seeds") {
  constexpr int kExperiments = 10'000;
  for (const auto* test : {"sign_flip", "paired_t", "wilcoxon"})
    for (const std::size_t seeds : {3, 5, 8}) {
      CAPTURE(test, seeds);
      RandomStream random(seeds);
      auto claim = better_than({"old"});
      claim.test = test;
      int passed = 0;
      for (int experiment = 0; experiment < kExperiments; ++experiment) {
        HandStudy hand;
        for (const auto* arm : {"new", "old"}) {
          V values(seeds);
          for (auto& value : values)  // normal (Box and Muller 1958)
            value = std::sqrt(-2 * std::log(random.uniform())) * std::cos(6.283185307179586 * random.uniform());
          hand.arm(arm, values);
        }
        passed += one(claim, hand).outcome == Outcome::pass;
      }
      // 3 standard errors of a share of 10 000.
      CHECK(passed <= kExperiments * 0.05 + 3 * std::sqrt(kExperiments * 0.05 * 0.95));
      const double reachable = smallest_p(test, seeds);
      CHECK((passed > 0) == (reachable <= 0.05));
    }
}

TEST_CASE("verdicts as JSON hold finite numbers only") {
  HandStudy hand;
  hand.arm("new", {0.6}).arm("old", {0.5});
  const auto json = to_json(to_value(one(better_than({"old"}), hand)));
  CHECK(json.find("nan") == std::string::npos);
  CHECK(value_from_json(json).as<Table>()->at("outcome") == Value("UNDECIDED"));
}

}  // namespace
