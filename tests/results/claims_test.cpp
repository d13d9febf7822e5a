// Verdicts: each way to pass, to fail and to stay undecided, on studies made by hand.
#include "claims.h"

#include <cmath>
#include <limits>

#include "base/random.h"

namespace {

using namespace xp;

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
  const auto v = one(claim, hand);
  CHECK(v.outcome == Outcome::undecided);
  has(v.reason, "Not below `old` by more than 0.01 so far, but p = ");
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
  has(verdicts[0].reason, "6 seeds reach p = 0.0625 at best, above alpha 0.05: 1 more needed");
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

}  // namespace
