#include "schema/value.h"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

using namespace xp;

namespace {

// Values of every type that JSON and TOML know, nested a few levels.
rc::Gen<Value> values(int depth) {
  const auto leaf = rc::gen::oneOf(
      rc::gen::map(rc::gen::arbitrary<bool>(), [](bool v) { return Value(v); }),
      rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](std::int64_t v) { return Value(v); }),
      rc::gen::map(rc::gen::arbitrary<double>(), [](double v) { return Value(std::isnan(v) ? 0.5 : v); }),
      rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange('\x01', '\x7F')),
                   [](const std::string& v) { return Value(v); }));
  if (depth == 0) return leaf;
  const auto keys = rc::gen::container<std::string>(rc::gen::inRange('\x01', '\x7F'));
  return rc::gen::oneOf(
      leaf,
      rc::gen::map(rc::gen::scale(0.1, rc::gen::container<std::vector<Value>>(values(depth - 1))),
                   [](const std::vector<Value>& v) { return Value(List(v)); }),
      rc::gen::map(rc::gen::scale(0.1, rc::gen::container<std::map<std::string, Value>>(keys, values(depth - 1))),
                   [](const std::map<std::string, Value>& v) { return Value(Table(v.begin(), v.end())); }));
}

}  // namespace

namespace xp {
void showValue(const Value& value, std::ostream& out) { out << to_text(value); }
}  // namespace xp

TEST_CASE("Text of values is one line of TOML") {
  CHECK(to_text(Value(true)) == "true");
  CHECK(to_text(Value(1)) == "1");
  CHECK(to_text(Value(1.0)) == "1.0");
  CHECK(to_text(Value(3e-4)) == "3e-04");
  CHECK(to_text(Value(0.001)) == "0.001");
  CHECK(to_text(Value(std::numeric_limits<double>::quiet_NaN())) == "nan");
  CHECK(to_text(Value("a \"b\"\\\n\t\x01 漢")) == "\"a \\\"b\\\"\\\\\\n\\t\\u0001 漢\"");
  CHECK(to_text(Value(List{})) == "[]");
  CHECK(to_text(Value(Table{})) == "{}");
  CHECK(to_text(Value(Table{{"b", List{1, 2.5}}, {"a.c", "x"}, {"", Table{{"z-1", false}}}})) ==
        "{ \"\" = { z-1 = false }, \"a.c\" = \"x\", b = [1, 2.5] }");
}

TEST_CASE("References are text for people and digests for keys") {
  Reference reference{
      .text = "tuned:test#label", .output = "predictions", .split = "test", .column = "label", .digest = "abc"};
  CHECK(to_text(Value(reference)) == "\"tuned:test#label\"");
  CHECK(to_text(Value(reference), true) == "@abc.predictions:test#label");
  CHECK(to_text(Value(List{reference}), true) == "[@abc.predictions:test#label]");
  CHECK(to_text(Value(Reference{.text = "t", .digest = "abc"}), true) == "@abc");
  CHECK(to_text(Value("@abc"), true) == "\"@abc\"");  // text that looks like one is not one
  auto other = reference;
  CHECK(other == reference);
  other.component = std::make_shared<Table>(Table{{"type", "text"}});
  CHECK_FALSE(other == reference);
  auto third = reference;
  third.component = std::make_shared<Table>(Table{{"type", "text"}});
  CHECK(other == third);
}

TEST_CASE("Paths find nested values") {
  const Table table{{"stage", Table{{"pretrain", Table{{"lr", 0.1}, {"terms", List{Table{{"weight", 2}}, 5}}}}}},
                    {"tuned[a]", 1}};
  CHECK(*find(table, "stage.pretrain.lr") == Value(0.1));
  CHECK(*find(table, "stage.pretrain.terms[0].weight") == Value(2));
  CHECK(*find(table, "stage.pretrain.terms[1]") == Value(5));
  CHECK(*find(table, "tuned[a]") == Value(1));
  for (const auto* none : {"", ".", "stage.", "stage.x", "stage.pretrain.terms[2]", "stage.pretrain.terms[-1]",
                           "stage.pretrain.terms[", "stage.pretrain.terms[0]x", "stage.pretrain.lr[0]",
                           "stage.pretrain.lr.x", "stage.pretrain.terms[99999999999999999999]"})
    CHECK(find(table, none) == nullptr);
}

TEST_CASE("Equality tells 1 from 1.0 and does not see places") {
  CHECK_FALSE(Value(1) == Value(1.0));
  Value placed(1);
  placed.span.line = 7;
  CHECK(placed == Value(1));
}

TEST_CASE("JSON gives back every value") {
  CHECK(rc::check("value_from_json(to_json(v)) == v", [] {
    const auto value = *values(2);
    RC_ASSERT(value_from_json(to_json(value)) == value);
  }));
  CHECK(to_json(Value(1.0)) == "1.0");
  const auto infinity = Value(-std::numeric_limits<double>::infinity());
  CHECK(value_from_json(to_json(infinity)) == infinity);
  CHECK(std::isnan(*value_from_json(to_json(Value(std::nan("")))).as<double>()));
  const auto reference =
      value_from_json(to_json(Value(Reference{.text = "a:dev", .kind = "dataset", .split = "dev"})));
  CHECK(reference == Value(Table{{"reference", "a:dev"}, {"kind", "dataset"}, {"split", "dev"}}));
}

TEST_CASE("Equal text means equal value") {
  CHECK(rc::check("to_text(a) == to_text(b) if and only if a == b", [] {
    const auto a = *values(2);
    const auto b = *values(2);
    RC_ASSERT((to_text(a) == to_text(b)) == (a == b));
  }));
}

TEST_CASE("JSON that is no value is refused") {
  for (const auto* bad : {"", "null", "[1,", "{\"a\":null}", "18446744073709551615", "\"\\xff\"", "1e999", "nan"}) {
    INFO(bad);
    CHECK_THROWS_AS(value_from_json(bad), Error);
  }
  const std::string deep = std::string(64, '[') + std::string(64, ']');
  CHECK_NOTHROW(value_from_json(deep));
  CHECK_THROWS_AS(value_from_json("[" + deep + "]"), Error);
  CHECK_THROWS_AS(value_from_json(std::string(1000000, '[')), Error);
}
