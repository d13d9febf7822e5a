#include "schema/quantity.h"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>

using namespace xp;
using Catch::Matchers::WithinAbs;

TEST_CASE("Amounts and their units") {
  const std::pair<const char*, Quantity> table[] = {
      {"3M tokens", {3e6, Unit::tokens}},  {"1 token", {1, Unit::tokens}},
      {"20k items", {20000, Unit::items}}, {"1.5k supervised tokens", {1500, Unit::supervised}},
      {"2000 steps", {2000, Unit::steps}}, {"1 epoch", {1, Unit::epochs}},
      {"0.5 epochs", {0.5, Unit::epochs}}, {"12 documents", {12, Unit::documents}},
      {"45 min", {2700, Unit::seconds}},   {"45min", {2700, Unit::seconds}},
      {"2 h", {7200, Unit::seconds}},      {"2 hours", {7200, Unit::seconds}},
      {"1 hour", {3600, Unit::seconds}},   {"3 days", {259200, Unit::seconds}},
      {"10 s", {10, Unit::seconds}},       {"10 sec", {10, Unit::seconds}},
      {"10 seconds", {10, Unit::seconds}}, {"2e14 flops", {2e14, Unit::flops}},
      {"2T flops", {2e12, Unit::flops}},   {"64 MB", {64e6, Unit::bytes}},
      {"200 kB", {200e3, Unit::bytes}},    {"8GB", {8e9, Unit::bytes}},
      {"1 TB", {1e12, Unit::bytes}},       {"7 B", {7, Unit::bytes}},
      {"7 bytes", {7, Unit::bytes}},       {"10%", {10, Unit::percent}},
      {"12.5 %", {12.5, Unit::percent}},   {"x0.25", {0.25, Unit::factor}},
      {"500", {500, Unit::none}},          {"5k", {5000, Unit::none}},
      {" 3 steps ", {3, Unit::steps}},     {"0 steps", {0, Unit::steps}},
  };
  for (const auto& [text, expected] : table) {
    INFO(text);
    const auto read = parse_quantity(text);
    REQUIRE(read.has_value());
    CHECK(read->amount == expected.amount);
    CHECK(read->unit == expected.unit);
  }
}

TEST_CASE("What is no amount") {
  for (const auto* text :
       {"",          " ",   "tokens",      "-3 steps",  "+3 steps", "3 M tokens", "3 bananas",   "3m tokens",
        "x",         "x-1", "x2 steps",    "inf steps", "nan",      "0x10",       "1e999 flops", "1e308k steps",
        "3 steps 4", "3k%", "3,000 steps", "10 k",      "3 Tokens"}) {
    INFO(text);
    CHECK_FALSE(parse_quantity(text).has_value());
  }
}

TEST_CASE("Canonical text") {
  CHECK(to_text(Quantity{3e6, Unit::tokens}) == "3000000 tokens");
  CHECK(to_text(Quantity{10, Unit::percent}) == "10%");
  CHECK(to_text(Quantity{0.25, Unit::factor}) == "x0.25");
  CHECK(to_text(Quantity{500, Unit::none}) == "500");
  CHECK(to_text(Quantity{1e20, Unit::flops}) == "1e+20 flops");
  CHECK(to_text(*parse_quantity("45 min")) == "2700 seconds");
  CHECK(rc::check("parse_quantity(to_text(q)) == q", [](double amount) {
    RC_PRE(std::isfinite(amount) && amount >= 0);
    const auto unit = static_cast<Unit>(*rc::gen::inRange(0, 12));
    RC_ASSERT(parse_quantity(to_text(Quantity{amount, unit})) == std::optional(Quantity{amount, unit}));
  }));
}

namespace {

struct Moments {
  double mean = 0, variance = 0, least = 0, most = 0;
};

Moments moments(const Distribution& distribution) {
  RandomStream random(11);
  constexpr int kDraws = 40000;
  double sum = 0, squares = 0;
  Moments out{0, 0, 1e300, -1e300};
  for (int i = 0; i < kDraws; ++i) {
    const double x = distribution.draw(random);
    sum += x, squares += x * x;
    out.least = std::min(out.least, x), out.most = std::max(out.most, x);
  }
  out.mean = sum / kDraws;
  out.variance = squares / kDraws - out.mean * out.mean;
  return out;
}

std::optional<Distribution> read(const Value& value) {
  Problems problems;
  auto out = read_distribution(value, "length", problems);
  CHECK(out.has_value() == problems.empty());
  return out;
}

std::string complaint(const Value& value) {
  Problems problems;
  CHECK_FALSE(read_distribution(value, "length", problems).has_value());
  REQUIRE(problems.list().size() == 1);
  return problems.list()[0].code + ": " + problems.list()[0].message;
}

}  // namespace

TEST_CASE("Distributions have the moments of their name") {
  const auto poisson = moments(*read(Table{{"poisson", 3}}));
  CHECK_THAT(poisson.mean, WithinAbs(3, 0.05));
  CHECK_THAT(poisson.variance, WithinAbs(3, 0.15));
  CHECK(poisson.least == 0);
  const auto large = moments(*read(Table{{"poisson", 200.0}}));
  CHECK_THAT(large.mean, WithinAbs(200, 0.4));
  CHECK_THAT(large.variance, WithinAbs(200, 8));
  const auto geometric = moments(*read(Table{{"geometric", 0.2}}));
  CHECK_THAT(geometric.mean, WithinAbs(5, 0.1));
  CHECK_THAT(geometric.variance, WithinAbs(20, 1));  // (1 - p) / p^2
  CHECK(geometric.least == 1);
  const auto normal = moments(*read(Table{{"normal", List{1, 2.0}}}));
  CHECK_THAT(normal.mean, WithinAbs(1, 0.05));
  CHECK_THAT(normal.variance, WithinAbs(4, 0.15));
  const auto dice = moments(*read(Table{{"uniform", List{1, 6}}}));
  CHECK((dice.least == 1 && dice.most == 6));
  CHECK_THAT(dice.variance, WithinAbs(35.0 / 12, 0.06));
  const auto uniform = moments(*read(Table{{"uniform", List{1.0, 6}}}));
  CHECK_THAT(uniform.mean, WithinAbs(3.5, 0.05));
  CHECK_THAT(uniform.variance, WithinAbs(25.0 / 12, 0.06));
  RandomStream random(1);
  CHECK(read(3)->draw(random) == 3);
  CHECK(read(Table{{"poisson", 0}})->draw(random) == 0);
  CHECK(read(Table{{"geometric", 1}})->draw(random) == 1);
  CHECK(read(Table{{"geometric", 0.25}})->mean() == 4);
  CHECK(read(Table{{"uniform", List{1, 6}}})->mean() == 3.5);
}

TEST_CASE("Distributions that are none are refused with a reason") {
  CHECK(complaint("three") == "wrong-type: `length` must be a number or a distribution, not text");
  CHECK(complaint(Table{{"poison", 3}}) == "unknown-key: `poison` is not a key of `length`");
  CHECK(complaint(Table{}) == "wrong-type: `length` must be one distribution, not table");
  CHECK(complaint(Table{{"poisson", -1}}) == "out-of-range: `length.poisson` cannot be -1");
  CHECK(complaint(Table{{"geometric", 0}}) == "out-of-range: `length.geometric` cannot be 0");
  CHECK(complaint(Table{{"uniform", List{5, 1}}}) == "out-of-range: `length.uniform` cannot be [5, 1]");
  CHECK(complaint(Table{{"uniform", List{5}}}) ==
        "wrong-type: `length.uniform` must be a list of two numbers, not list");
  CHECK(complaint(Table{{"normal", List{0, -1}}}) == "out-of-range: `length.normal[1]` cannot be -1");
  CHECK(complaint(Table{{"normal", List{0, "a"}}}) == "wrong-type: `length.normal[1]` must be a number, not text");
}

TEST_CASE("Learnable numbers") {
  Problems problems;
  const auto read = read_learnable(Table{{"learn", true}, {"start", 0.07}, {"max", 1}}, "temperature", problems);
  REQUIRE(read.has_value());
  CHECK((read->learn && read->start == 0.07 && !read->min && read->max == 1.0));
  CHECK(read_learnable(2, "temperature", problems)->start == 2);
  CHECK(problems.empty());
  CHECK_FALSE(read_learnable(Table{{"lern", true}}, "temperature", problems));
  CHECK(problems.list()[0].hint == "did you mean `learn`?");
  CHECK_FALSE(read_learnable(Table{{"start", 3}, {"max", 1}}, "temperature", problems));
  CHECK_FALSE(read_learnable(Table{{"learn", 1}}, "temperature", problems));
  CHECK(problems.list()[2].message == "`temperature.learn` must be true or false, not integer");
}

TEST_CASE("Ramps run from one value to another and stay there") {
  Problems problems;
  const auto ramp = [&](const char* shape) {
    return *read_ramp(Table{{"from", 1}, {"to", 0.25}, {"shape", shape}, {"until", "10%"}}, "lr", problems);
  };
  for (const auto* shape : {"linear", "cosine", "exponential", "step"}) {
    INFO(shape);
    CHECK(ramp(shape).at(0) == 1);
    CHECK(ramp(shape).at(-3) == 1);
    CHECK(ramp(shape).at(1) == 0.25);
    CHECK(ramp(shape).at(7) == 0.25);
    CHECK(ramp(shape).at(std::nan("")) == 1);
  }
  CHECK(ramp("linear").at(0.5) == 0.625);
  CHECK_THAT(ramp("cosine").at(0.5), WithinAbs(0.625, 1e-12));
  CHECK_THAT(ramp("exponential").at(0.5), WithinAbs(0.5, 1e-12));
  CHECK(ramp("step").at(0.999) == 1);
  CHECK(ramp("linear").until == Quantity{10, Unit::percent});
  CHECK(read_ramp(Table{{"from", 0}, {"to", 1}}, "lr", problems)->until == Quantity{100, Unit::percent});
  CHECK(problems.empty());
  CHECK_FALSE(read_ramp(Table{{"from", 0}, {"to", 1}, {"shape", "exponential"}}, "lr", problems));
  CHECK_FALSE(read_ramp(Table{{"from", 0}, {"to", 1}, {"until", 100}}, "lr", problems));
  CHECK_FALSE(read_ramp(Table{{"from", 0}, {"to", 1}, {"shape", "lineer"}}, "lr", problems));
  CHECK_FALSE(read_ramp(Table{{"from", 0}}, "lr", problems));
  REQUIRE(problems.list().size() == 4);
  CHECK(problems.list()[0].code == "out-of-range");
  CHECK(problems.list()[1].code == "bad-unit");
  CHECK(problems.list()[2].hint == "did you mean `linear`?");
  CHECK(problems.list()[3].message == "`to` of `lr` is missing");
}
