#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>

namespace xp::engine_test {
namespace {

using Catch::Approx;

TEST_CASE("counters after a step are those that one counts by hand") {
  Stage stage({"abcdefgh", "ijklmnop", "bcdefghi", "jklmnopq"});  // 8 bytes: 10 tokens with begin and end
  stage.run(stage.request("3 steps"));
  const auto& points = stage.notes.curves.at("loss");
  REQUIRE(points.size() == 3);
  // One layer of width 8, two heads, inner width 32, a vocabulary of 64. Products per position: queries, output 2 * 8
  // * 8; keys and values 2 * 8 * 8; scores and sums over 10 keys 2 * 8 * 10; feed-forward 2 * 8 * 32. A product is
  // two operations.
  const double forward = 2 * 40 * (128 + 128 + 160 + 512), head = 2 * (4 * 9) * 8 * 64;
  for (int s = 1; s <= 3; ++s) {
    const auto& c = points[static_cast<std::size_t>(s - 1)].first;
    CHECK(c.steps == s);
    CHECK(c.items == 4 * s);
    CHECK(c.input_tokens == 40 * s);
    CHECK(c.supervised_tokens == 36 * s);  // all but the first of each
    CHECK(c.bytes == 32 * s);
    CHECK(c.epochs == s);
    CHECK(c.flops == Approx(3 * s * (forward + head)));  // backward costs twice the forward pass
    CHECK(c.flops_effective == c.flops);
    CHECK(c.seconds > 0);
    CHECK(c.memory > 1e6);
  }
}

TEST_CASE("counters: padding is no token, windows of a document count its bytes once") {
  Stage stage({"abcdefghijklmnopqrstabcdefghij", "a"});  // 30 bytes: windows of 14, 14 and 2
  auto request = stage.request("1 epochs");
  request.batch.items = 4;
  stage.run(std::move(request));
  const auto& c = stage.notes.last;
  CHECK(c.steps == 1);
  CHECK(c.items == 4);
  CHECK(c.input_tokens == 16 + 16 + 4 + 3);
  CHECK(c.supervised_tokens == 15 + 15 + 3 + 2);
  CHECK(c.bytes == 31);
  CHECK(c.epochs == 1);
}

TEST_CASE("training stops after the first step that reaches its rule, whatever the unit") {
  const auto measure = [](const std::string& unit, const Counters& c) -> double {
    if (unit == "tokens") return static_cast<double>(c.input_tokens);
    if (unit == "supervised tokens") return static_cast<double>(c.supervised_tokens);
    if (unit == "steps") return static_cast<double>(c.steps);
    if (unit == "items") return static_cast<double>(c.items);
    if (unit == "B") return static_cast<double>(c.bytes);
    if (unit == "epochs") return c.epochs;
    if (unit == "flops") return c.flops;
    return c.seconds;
  };
  for (const auto& [amount, unit] : std::vector<std::pair<double, std::string>>{{250, "tokens"},
                                                                                {205, "supervised tokens"},
                                                                                {6, "steps"},
                                                                                {17, "items"},
                                                                                {190, "B"},
                                                                                {1.5, "epochs"},
                                                                                {3e6, "flops"},
                                                                                {0.05, "s"}}) {
    INFO(amount << " " << unit);
    Stage stage(letters(24));
    stage.run(stage.request(std::to_string(amount) + " " + unit));
    const auto& points = stage.notes.curves.at("loss");
    REQUIRE(points.size() >= (unit == "s" ? 1 : 2));  // on a busy machine one step can take that long
    CHECK(measure(unit, points.back().first) >= amount);
    if (points.size() > 1) CHECK(measure(unit, points[points.size() - 2].first) < amount);
    CHECK(stage.notes.last.steps == std::ssize(points));
    CHECK(stage.notes.last.seconds == points.back().first.seconds);
  }
}

TEST_CASE("arms that stop at the same FLOPs end within one step of each other, however large their models are") {
  std::vector<double> ends;
  double step = 0;
  for (const std::int64_t layers : {1, 3}) {
    Stage stage(letters(24));
    stage.run(stage.request("6000000 flops", {{"type", "causal_lm"}}, {{"layers", layers}}));
    double before = 0;
    for (const auto& [counters, loss] : stage.notes.curves.at("loss"))
      step = std::max(step, counters.flops - std::exchange(before, counters.flops));
    ends.push_back(before);
    CHECK(before >= 6e6);
  }
  CHECK(step > 1e5);
  CHECK(std::abs(ends[0] - ends[1]) < step);
}

TEST_CASE("training does not stop at what it cannot count") {
  Stage stage(letters(4));
  auto request = stage.request("1 steps");
  request.stop = {10, Unit::percent};
  CHECK_THROWS_WITH(stage.run(std::move(request)),
                    Catch::Matchers::ContainsSubstring("training cannot stop at `10%`; use tokens, steps"));
}

TEST_CASE("schedules are found in every part, also in one that goes from one part to another") {
  const Table ramp{{"from", 0.5}, {"to", 0.2}};
  const Table part{{"type", "blend"},
                   {"from", Table{{"type", "mlm"}, {"mask_rate", ramp}}},
                   {"to", Table{{"type", "causal_lm"}}},
                   {"a", ramp}};
  const auto names = [](const Table& settings) {
    Strings out;
    for (const auto& [name, one] : ramps_in(settings)) out.push_back(name);
    return out;
  };
  CHECK(names(part) == Strings{"a", "from.mask_rate"});
  CHECK(names({{"task", part}}) == Strings{"task.a", "task.from.mask_rate"});
  CHECK(names({{"terms", List{part, part}}}) ==
        Strings{"blend.a", "blend.from.mask_rate", "blend_2.a", "blend_2.from.mask_rate"});
}

TEST_CASE("evaluation costs no counted work") {
  Stage plain(letters(20)), measured(letters(20));
  plain.run(plain.request("4 steps"));
  auto request = measured.request("4 steps");
  request.evaluate_every = Quantity{1, Unit::steps};
  request.evaluators.push_back(
      {"dev", testing::registry().make<Evaluator>({{"type", "bits_per_byte"}, {"data", Value(measured.data)}})});
  measured.run(std::move(request));
  CHECK(measured.notes.values("dev.bits").size() == 5);  // before the first step, and after each
  CHECK(measured.notes.values("loss") == plain.notes.values("loss"));
  CHECK(measured.notes.last.flops == plain.notes.last.flops);
}

}  // namespace
}  // namespace xp::engine_test
