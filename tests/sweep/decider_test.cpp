#include "sweep/decider.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <random>

#include "../scratch.h"
#include "components.h"

using namespace xp;
using namespace xp::test;
using namespace xp::sweep;
using Catch::Matchers::ContainsSubstring;
using Phase = TrialState::Phase;

namespace {

const Registry& registry() {
  static const Registry all = sweep_registry();
  return all;
}

Outcome done(double value) { return {.end = Outcome::End::done, .value = value, .file = "x.h5", .seconds = 1}; }
Outcome rests(double value) { return {.end = Outcome::End::rung, .value = value, .seconds = 1}; }
Outcome failed(const std::string& failure) {
  return {.end = Outcome::End::failed, .failure = failure, .why = "as the test says", .seconds = 1};
}

/// A worker with its file and its own view of the journal.
struct Hand {
  explicit Hand(const std::filesystem::path& folder, const Rules& rules)
      : decider(folder, rules, registry(), true), file(folder / "workers") {}
  Step next() { return decider.next(file.id()); }
  bool finish(const Step& step, const Outcome& outcome) { return decider.finish(file.id(), step, outcome); }
  Decider decider;
  WorkerFile file;
};

double number_of(const Step& step) { return step.trial.values.at("stage.a.x").number(); }

}  // namespace

TEST_CASE("one worker runs every trial once, then the sweep is over") {
  const Scratch scratch;
  Hand hand(scratch.path(), counting_rules(3));
  for (int i = 0; i < 3; ++i) {
    const auto step = hand.next();
    REQUIRE(step.what == Step::What::run);
    CHECK(number_of(step) == i);
    CHECK_FALSE(step.rung);
    CHECK(hand.finish(step, done(10 - i)));
  }
  CHECK(hand.next().what == Step::What::end);
  CHECK(hand.decider.look().count(Phase::done) == 3);
  CHECK(ranking(hand.decider.look(), "main", false).front()->number == 2);
  CHECK(ranking(hand.decider.look(), "main", true).front()->number == 0);
}

TEST_CASE("studies of several arms take turns") {
  const Scratch scratch;
  Hand hand(scratch.path(), counting_rules(2, {"a", "b"}));
  std::string order;
  for (auto step = hand.next(); step.what == Step::What::run; step = hand.next()) {
    order += step.trial.name() + " ";
    hand.finish(step, done(1));
  }
  CHECK(order == "a-0000 b-0000 a-0001 b-0001 ");
}

TEST_CASE("two workers never have the same trial, and the second waits for the first's last one") {
  const Scratch scratch;
  const auto rules = counting_rules(3);
  Hand one(scratch.path(), rules), two(scratch.path(), rules);
  const auto a = one.next(), b = two.next(), c = one.next();
  CHECK(std::set<double>{number_of(a), number_of(b), number_of(c)} == std::set<double>{0, 1, 2});
  CHECK(two.next().what == Step::What::wait);
  CHECK(two.finish(b, done(1)));
  CHECK_FALSE(two.finish(a, done(1)));  // it is the other's
  CHECK(one.finish(a, done(1)));
  CHECK(two.next().what == Step::What::wait);
  CHECK(one.finish(c, done(1)));
  CHECK(two.next().what == Step::What::end);
}

TEST_CASE("a search that waits for results makes its workers wait") {
  const Scratch scratch;
  auto rules = counting_rules(3);
  rules.method.insert_or_assign("ahead", 1);
  Hand one(scratch.path(), rules), two(scratch.path(), rules);
  const auto a = one.next();
  CHECK(two.next().what == Step::What::wait);
  one.finish(a, done(1));
  CHECK(number_of(two.next()) == 1);
}

TEST_CASE("what a dead worker had is given to another") {
  const Scratch scratch;
  const auto rules = counting_rules(1);
  Hand one(scratch.path(), rules);
  std::string dead;
  {
    Hand two(scratch.path(), rules);
    dead = two.file.id();
    CHECK(two.next().what == Step::What::run);
  }
  const auto step = one.next();
  REQUIRE(step.what == Step::What::run);
  CHECK(number_of(step) == 0);
  CHECK(step.trial.lost == 1);
  CHECK(one.finish(step, done(1)));
  CHECK_FALSE(one.decider.finish(dead, step, done(2)));
  CHECK(one.decider.look().all().front().goal == 1);
}

TEST_CASE("a crash counts as a failure, a lost worker does not") {
  const Scratch scratch;
  const auto rules = counting_rules(1);
  {
    Hand two(scratch.path(), rules);
    CHECK(two.next().what == Step::What::run);
    write_file(two.file.crash_note(), "SIGSEGV: as the test says\n");
  }
  Hand one(scratch.path(), rules);
  CHECK(one.next().what == Step::What::end);
  const auto& trial = one.decider.look().all().front();
  CHECK(trial.phase == Phase::failed);
  CHECK(trial.why == "crash: SIGSEGV: as the test says");
}

TEST_CASE("a worker that dies at one trial again and again makes it fail") {
  const Scratch scratch;
  const auto rules = counting_rules(1);
  int times = 0;
  for (; times < 1000; ++times) {
    Hand hand(scratch.path(), rules);
    if (hand.next().what == Step::What::end) break;
  }
  CHECK(times == 101);
}

TEST_CASE("failures are tried again as often as their class may, and once more when asked") {
  const Scratch scratch;
  auto rules = counting_rules(1);
  rules.retries["timeout"] = 2, rules.retries["crash"] = 1;
  Hand hand(scratch.path(), rules);
  for (const auto* failure : {"timeout", "crash", "timeout", "timeout"}) {
    const auto step = hand.next();
    REQUIRE(step.what == Step::What::run);
    hand.finish(step, failed(failure));
  }
  CHECK(hand.next().what == Step::What::end);
  CHECK(hand.decider.look().all().front().phase == Phase::failed);
  CHECK(hand.decider.look().all().front().seconds == 4);
  CHECK(hand.decider.reopen_failed() == 1);
  const auto step = hand.next();
  REQUIRE(step.what == Step::What::run);
  hand.finish(step, done(1));
  CHECK(hand.decider.look().count(Phase::failed) == 0);
}

TEST_CASE("no trial begins once the budget is spent") {
  const Scratch scratch;
  auto rules = counting_rules(10);
  rules.budget = 2;
  Hand hand(scratch.path(), rules);
  int n = 0;
  for (auto step = hand.next(); step.what == Step::What::run; step = hand.next(), ++n) hand.finish(step, done(1));
  CHECK(n == 2);
}

TEST_CASE("trials rest at rungs, the better half goes on, and the rest stays") {
  const Scratch scratch;
  auto rules = counting_rules(4);
  rules.prune = Table{{"type", "half"}};
  Hand hand(scratch.path(), rules);
  std::string log;
  for (auto step = hand.next(); step.what == Step::What::run; step = hand.next()) {
    log += std::to_string(static_cast<int>(number_of(step))) + (step.rung ? "@" + std::to_string(*step.rung) : "!") +
           " ";
    hand.finish(step, step.rung ? rests(-number_of(step)) : done(number_of(step)));
  }
  // Each new one is the best so far and goes on; the first alone at the second rung waits for another.
  CHECK(log == "0@0 1@0 1@1 2@0 2@1 2! 3@0 3@1 3! ");
  CHECK(hand.decider.look().count(Phase::done) == 2);
  CHECK(hand.decider.look().count(Phase::resting) == 2);
}

TEST_CASE("an arm always ends with a finished trial") {
  const Scratch scratch;
  auto rules = counting_rules(1);
  rules.prune = Table{{"type", "half"}};
  Hand hand(scratch.path(), rules);
  hand.finish(hand.next(), rests(1));
  const auto step = hand.next();
  REQUIRE(step.what == Step::What::run);
  CHECK_FALSE(step.rung);
  hand.finish(step, done(1));
  CHECK(hand.next().what == Step::What::end);
}

TEST_CASE("a search that waits for trials at rest gets them as pruned") {
  const Scratch scratch;
  auto rules = counting_rules(3);
  rules.method.insert_or_assign("ahead", 1);
  rules.prune = Table{{"type", "half"}};
  Hand hand(scratch.path(), rules);
  int n = 0;
  for (auto step = hand.next(); step.what == Step::What::run && n < 50; step = hand.next(), ++n)
    hand.finish(step, step.rung ? rests(number_of(step)) : done(1));
  CHECK(hand.decider.look().all().size() == 3);
  CHECK(hand.decider.look().count(Phase::pruned) == 2);
  CHECK(hand.decider.look().count(Phase::done) == 1);
}

TEST_CASE("a longer search goes on where the shorter one ended") {
  const Scratch scratch;
  for (const std::int64_t trials : {2, 5}) {
    Hand hand(scratch.path(), counting_rules(trials));
    for (auto step = hand.next(); step.what == Step::What::run; step = hand.next()) hand.finish(step, done(1));
    CHECK(hand.decider.look().count(Phase::done) == static_cast<std::size_t>(trials));
  }
}

TEST_CASE("the journal replays, and another search does not") {
  const Scratch scratch;
  auto rules = counting_rules(4);
  rules.prune = Table{{"type", "half"}};
  {
    Hand hand(scratch.path(), rules);
    for (auto step = hand.next(); step.what == Step::What::run; step = hand.next())
      hand.finish(step, step.rung ? rests(-number_of(step)) : done(1));
  }
  CHECK(Decider(scratch.path(), rules, registry(), true).replay() > 15);
  rules.method.insert_or_assign("step", 2);
  CHECK_THROWS_WITH(Decider(scratch.path(), rules, registry(), true).replay(),
                    ContainsSubstring("\"stage.a.x\" = 1") && ContainsSubstring("now proposes trial 1"));
}

TEST_CASE("workers that die anywhere lose nothing, repeat nothing, and leave a journal that replays") {
  const Scratch scratch;
  auto rules = counting_rules(40, {"a", "b"});
  rules.prune = Table{{"type", "half"}};
  std::mt19937 draw(7);
  std::vector<std::unique_ptr<Hand>> hands(4);
  std::map<std::string, std::string> at;  // trial -> worker
  std::map<std::string, Step> held;
  std::set<std::string> finished;
  for (int turn = 0; turn < 4000; ++turn) {
    auto& hand = hands[draw() % hands.size()];
    if (!hand) hand = std::make_unique<Hand>(scratch.path(), rules);
    const auto id = hand->file.id();
    if (draw() % 20 == 0) {  // it dies, whatever it did
      if (held.contains(id)) at.erase(held.at(id).trial.name()), held.erase(id);
      hand.reset();
      continue;
    }
    if (!held.contains(id)) {
      const auto step = hand->next();
      if (step.what == Step::What::end) break;
      if (step.what == Step::What::wait) continue;
      CHECK(at.emplace(step.trial.name(), id).second);
      CHECK_FALSE(finished.contains(step.trial.name()));
      held.emplace(id, step);
    } else {
      const auto step = held.at(id);
      const auto x = std::fmod(number_of(step) * 17, 23);
      CHECK(hand->finish(step, step.rung ? rests(x) : done(x)));
      if (!step.rung) finished.insert(step.trial.name());
      at.erase(step.trial.name()), held.erase(id);
    }
  }
  hands.clear();
  Hand last(scratch.path(), rules);
  for (auto step = last.next(); step.what == Step::What::run; step = last.next())
    last.finish(step, step.rung ? rests(1) : done(1));
  const auto& trials = last.decider.look();
  CHECK(trials.all().size() == 80);
  CHECK(trials.count(Phase::open) + trials.count(Phase::running) + trials.count(Phase::failed) == 0);
  CHECK(trials.count(Phase::done) >= finished.size());
  CHECK_NOTHROW(Decider(scratch.path(), rules, registry(), true).replay());
}
