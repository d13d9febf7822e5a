// Verdicts: each way to pass, to fail and to stay undecided, on studies made by hand.
#include "results/claims.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "studies.h"

namespace {

using namespace xp;
using Catch::Approx;
using V = std::vector<double>;

ClaimSpec better_than(std::vector<std::string> baselines) {
  ClaimSpec claim;
  claim.id = "claim", claim.metric = "score.task.accuracy", claim.arm = "new", claim.baseline = std::move(baselines);
  return claim;
}

Verdict one(const ClaimSpec& claim, const HandStudy& hand) { return judge({claim}, hand.study).front(); }

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

const V kOld{0.50, 0.51, 0.49, 0.52, 0.50, 0.51};
const V kBetter{0.60, 0.62, 0.58, 0.61, 0.63, 0.60};

TEST_CASE("six seeds that all gain pass with p = 1/64") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld);
  const auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::pass);
  CHECK(v.p == Approx(1.0 / 64));
  CHECK(v.n == 6);
  CHECK(v.test == "sign_flip");
  CHECK(v.baselines[0].mean == Approx((0.10 + 0.11 + 0.09 + 0.09 + 0.13 + 0.09) / 6));
  CHECK(v.baselines[0].interval.low > 0);
  CHECK(v.what.unit == "share");
  has(to_text(v),
      "PASS  claim\n  score.task.accuracy, higher is better, sign_flip, alpha 0.05\n  new against old: +0.1017 "
      "share (95 % 0.08485 to 0.1185) over 6 seeds, p = 0.01562\n");
}

TEST_CASE("the same numbers fail where lower is better") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld);
  auto claim = better_than({"old"});
  claim.better = "lower";
  const auto v = one(claim, hand);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "`new` is worse than `old` by 0.1017");
  CHECK(v.baselines[0].mean < 0);
}

TEST_CASE("too few seeds are undecided whatever they show") {
  HandStudy hand;
  hand.arm("new", {0.6, 0.7, 0.8, 0.9}).arm("old", {0.1, 0.2, 0.3, 0.4});
  auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::undecided);
  CHECK(v.missing == 1);
  has(v.reason, "4 seeds reach p = 0.0625 at best, above alpha 0.05: 1 more needed.");
  auto claim = better_than({"old"});
  claim.alpha = 0.1;  // the quickstart's way
  CHECK(one(claim, hand).outcome == Outcome::pass);

  HandStudy single;
  single.arm("new", {0.1}).arm("old", {0.9});  // wrong direction, yet one pair says nothing
  v = one(better_than({"old"}), single);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "1 seed reaches p = 0.5 at best");
  CHECK(v.missing == 4);
  has(to_text(v), "over 1 seed");
}

TEST_CASE("a mean gain that is not significant is undecided and says how many seeds would do") {
  HandStudy hand;
  hand.arm("new", {0.55, 0.50, 0.56, 0.48, 0.55, 0.50}).arm("old", kOld);
  const auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::undecided);
  CHECK(v.p > 0.05);
  CHECK(v.missing > 0);
  CHECK(v.missing + 6 == pairs_needed(v.baselines[0].mean, v.baselines[0].sd, 0.05, "sign_flip"));
  has(v.reason, "Better than `old` so far, but p = ");
}

TEST_CASE("ties in every seed fail: there is no gain") {
  HandStudy hand;
  hand.arm("new", kOld).arm("old", kOld);
  const auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "`new` does not differ from `old`.");
}

TEST_CASE("a margin tolerates a loss, and no more than that") {
  V worse = kOld, far = kOld;
  const V wiggle{0.002, -0.001, 0.001, 0, -0.002, 0.001};
  for (std::size_t i = 0; i < 6; ++i) worse[i] += wiggle[i] - 0.005, far[i] += wiggle[i] - 0.03;
  auto claim = better_than({"old"});
  claim.margin = 0.01;
  HandStudy hand;
  hand.arm("new", worse).arm("old", kOld);
  auto v = one(claim, hand);
  CHECK(v.outcome == Outcome::pass);  // worse in the mean, but by less than is tolerated
  CHECK(v.baselines[0].mean == Approx(-0.005 + (0.002 - 0.001 + 0.001 - 0.002 + 0.001) / 6));
  HandStudy beyond;
  beyond.arm("new", far).arm("old", kOld);
  v = one(claim, beyond);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "beyond the margin 0.01");
}

TEST_CASE("equality is not concluded from noise") {
  auto claim = better_than({"old"});
  claim.margin = 0.01;
  HandStudy hand;
  hand.arm("new", {0.60, 0.41, 0.58, 0.43, 0.59, 0.42}).arm("old", kOld);  // mean loss 0, spread far above the margin
  CHECK(one(claim, hand).outcome == Outcome::undecided);
}

TEST_CASE("each of several baselines must be beaten, with Holm over them") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld).arm("weak", {0.1, 0.1, 0.1, 0.1, 0.1, 0.1});
  auto v = one(better_than({"old", "weak"}), hand);
  CHECK(v.outcome == Outcome::pass);
  CHECK(v.p == Approx(2.0 / 64));  // the smaller of two equal p is doubled, the larger may not be below it
  CHECK(v.reachable == Approx(2.0 / 64));
  hand.arm("strong", {0.7, 0.7, 0.7, 0.7, 0.7, 0.7});
  v = one(better_than({"old", "strong", "weak"}), hand);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "`new` is worse than `strong`");
  v = one(better_than({"old", "weak", "old2", "old3"}), hand);
  has(v.reason, "arm `old2` has no run here; arm `old3` has no run here");
}

TEST_CASE("a control that shows the gain too sinks the claim") {
  auto claim = better_than({"old"});
  claim.control = ControlSpec{.arm = "shuffled", .margin = 0.02};
  const auto with = [&](double control_gain, double control_margin = 0.02) {
    HandStudy hand;
    V control = kOld;
    for (auto& value : control) value += control_gain;
    hand.arm("new", kBetter).arm("old", kOld).arm("shuffled", control);
    claim.control->margin = control_margin;
    return one(claim, hand);
  };
  CHECK(with(0).outcome == Outcome::pass);
  CHECK(with(0.015).outcome == Outcome::pass);
  CHECK(with(-0.3).outcome == Outcome::pass);  // a control may be worse than the baseline
  auto v = with(0.05);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "The control `shuffled` gains 0.05 over `old`, more than its margin 0.02");
  has(to_text(v), "new against shuffled");
  CHECK(v.control_gains[0].mean == Approx(0.05));

  // Within a wide margin, but as good as the arm: the arm's gain is not due to what the control lacks.
  v = with(0.2, 0.5);
  CHECK(v.outcome == Outcome::fail);
  has(v.reason, "`new` is no better than its control `shuffled`");

  // Slightly below the arm, but not clearly so.
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld).arm("shuffled", {0.61, 0.60, 0.59, 0.60, 0.62, 0.61});
  claim.control->margin = 0.5;
  v = one(claim, hand);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "Better than `shuffled` so far");
}

TEST_CASE("numbers that are missing or diverged leave a claim undecided") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", {0.5, 0.5, 0.5, 0.5, 0.5});  // seed 5 was not run
  auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "arm `old`, seed 5 was not run");
  CHECK(std::isnan(v.p));

  HandStudy diverged;
  diverged.arm("new", kBetter).arm("old", {0.5, 0.5, std::nan(""), 0.5, 0.5, 0.5});
  v = one(better_than({"old"}), diverged);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "arm `old`, seed 2 gave nan");

  HandStudy planned;
  planned.arm("new", kBetter).arm("old", kOld);
  planned.study.members.back().records = nullptr;
  has(one(better_than({"old"}), planned).reason, "arm `old`, seed 5 has no records yet");

  auto claim = better_than({"old"});
  claim.metric = "score.task.acuracy";
  HandStudy typo;
  typo.arm("new", kBetter).arm("old", kOld);
  has(one(claim, typo).reason, "did you mean `task.accuracy`?");
}

TEST_CASE("unlike numbers are not compared") {
  HandStudy hand;
  const MetricSignature a{"nats/token", "aaaa", "x:test", "1"}, b{"nats/token", "bbbb", "x:test", "1"};
  hand.arm("new", kBetter, a).arm("old", kOld, b);
  const auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason,
      "unlike numbers: arm `new`, seed 0 is (nats/token, tokenizer aaaa, x:test, version 1), arm `old`, seed 0 is "
      "(nats/token, tokenizer bbbb");
}

TEST_CASE("seeds that share one measurement count once") {
  HandStudy hand;
  hand.arm("new", V(6, 0.6)).arm("old", V(6, 0.5));
  for (auto& member : hand.study.members) member.stages["score"] = member.arm;  // nothing depends on the seed
  const auto v = one(better_than({"old"}), hand);
  CHECK(v.outcome == Outcome::undecided);
  CHECK(v.n == 1);
  has(to_text(v), "5 seeds left out");
}

TEST_CASE("what all seeds share is stated") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld);
  for (auto& member : hand.study.members) member.stages["pretrain"] = "one";
  has(to_text(one(better_than({"old"}), hand)), "Not varied over seeds: `pretrain`.");
}

TEST_CASE("Holm runs over claims that are neither primary nor exact") {
  HandStudy hand;
  hand.arm("new", kBetter).arm("old", kOld);
  const auto claim = better_than({"old"});
  auto primary = claim;
  primary.primary = true;
  auto verdicts = judge({claim, claim, claim}, hand.study);
  for (const auto& v : verdicts) {
    CHECK(v.p == Approx(3.0 / 64));
    CHECK(v.outcome == Outcome::pass);
  }
  verdicts = judge({claim, claim, claim, claim}, hand.study);
  CHECK(verdicts[0].p == Approx(4.0 / 64));
  CHECK(verdicts[0].outcome == Outcome::undecided);
  CHECK(verdicts[0].missing > 0);
  verdicts = judge({primary, claim, claim, claim}, hand.study);
  CHECK(verdicts[0].p == Approx(1.0 / 64));
  CHECK(verdicts[1].p == Approx(3.0 / 64));
  // A claim that cannot be judged still counts: it was asked.
  auto unknown = claim;
  unknown.arm = "nobody";
  verdicts = judge({claim, unknown}, hand.study);
  CHECK(verdicts[0].p == Approx(2.0 / 64));
  CHECK(verdicts[1].outcome == Outcome::undecided);
}

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

TEST_CASE("verdicts as JSON hold finite numbers only") {
  HandStudy hand;
  hand.arm("new", {0.6}).arm("old", {0.5});
  const auto json = to_json(to_value(one(better_than({"old"}), hand)));
  CHECK(json.find("nan") == std::string::npos);
  CHECK(value_from_json(json).as<Table>()->at("outcome") == Value("UNDECIDED"));
}

}  // namespace
