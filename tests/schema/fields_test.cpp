#include "schema/fields.h"

#include <catch2/catch_test_macros.hpp>

#include "schema/component.h"

using namespace xp;

namespace {

class Part : public Component {
 public:
  static constexpr const char* kInterface = "objective";
  explicit Part(Table made) : from(std::move(made)) {}
  Table from;
};

// Makes parts that remember what they were made of.
class Maker : public PartMaker {
 public:
  std::unique_ptr<Component> make_part(std::string_view interface, const Table& table) const override {
    CHECK(interface == "objective");
    return std::make_unique<Part>(table);
  }
};

enum class Mode { fast, exact };

struct Inner {
  int a = 1;
  float b = 2;
  static void describe(Fields<Inner>& f) {
    f.add(&Inner::a, "a", "First.");
    f.add(&Inner::b, "b", "Second.");
  }
};

struct Params {
  double lr = 0.1;
  int every = 4;
  bool fused = false;
  std::string text = "t";
  Mode mode = Mode::fast;
  Quantity stop = {10, Unit::steps};
  Distribution length = {};
  Learnable scale = {0.5};
  ModelSpec model;
  Reference data;
  Value value;
  Table table;
  Inner inner;
  std::vector<double> numbers = {1, 2};
  std::optional<int> maybe = 3;
  std::unique_ptr<Part> part;
  std::vector<Weighted<Part>> terms;
  std::vector<std::unique_ptr<Part>> parts;

  static void describe(Fields<Params>& f) {
    f.add(&Params::lr, "lr", "Learning rate.").schedulable();
    f.add(&Params::every, "every", "Interval.");
    f.add(&Params::fused, "fused", "One kernel.");
    f.add(&Params::text, "text", "Text.");
    f.add(&Params::mode, "mode", "How.", {{"fast", Mode::fast}, {"exact", Mode::exact}});
    f.add(&Params::stop, "stop", "When it ends.");
    f.add(&Params::length, "length", "Span length.");
    f.add(&Params::scale, "scale", "Factor.");
    f.add(&Params::model, "model", "Second model.");
    f.add(&Params::data, "data", "Documents.");
    f.add(&Params::value, "value", "Anything.");
    f.add(&Params::table, "table", "Any table.");
    f.add(&Params::inner, "inner", "A struct.");
    f.add(&Params::numbers, "numbers", "Numbers.");
    f.add(&Params::maybe, "maybe", "A number or none.");
    f.add(&Params::part, "part", "A part.");
    f.add(&Params::terms, "terms", "Parts with weights.");
    f.add(&Params::parts, "parts", "Parts.");
  }
};

Params bind(const Table& table) {
  Fields<Params> fields;
  Params::describe(fields);
  return fields.bind(table, Maker());
}

}  // namespace

TEST_CASE("Nothing set keeps every default") {
  const auto p = bind({});
  CHECK((p.lr == 0.1 && p.every == 4 && p.mode == Mode::fast && p.maybe == 3 && p.part == nullptr));
  CHECK(p.numbers == std::vector<double>{1, 2});
}

TEST_CASE("Every type is bound from its value") {
  const auto p = bind({{"lr", 3},
                       {"every", 7},
                       {"fused", true},
                       {"text", "x"},
                       {"mode", "exact"},
                       {"stop", "2k tokens"},
                       {"length", Table{{"poisson", 3}}},
                       {"scale", Table{{"learn", true}, {"max", 9}}},
                       {"model", Table{{"type", "encoder"}, {"like", "main"}, {"width", 64}}},
                       {"data", Reference{.text = "d:train"}},
                       {"value", List{1}},
                       {"table", Table{{"k", 1}}},
                       {"inner", Table{{"b", 5}}},
                       {"numbers", 4},
                       {"maybe", "none"}});
  CHECK((p.lr == 3 && p.every == 7 && p.fused && p.text == "x" && p.mode == Mode::exact));
  CHECK(p.stop == Quantity{2000, Unit::tokens});
  CHECK((p.length.kind == Distribution::Kind::poisson && p.length.a == 3));
  CHECK((p.scale.learn && p.scale.start == 0.5 && p.scale.max == 9.0));  // the default start stays
  CHECK((p.model.type == "encoder" && p.model.like == "main"));
  CHECK(p.model.settings == Table{{"width", 64}});
  CHECK(p.data.text == "d:train");
  CHECK(p.value == Value(List{1}));
  CHECK(p.table == Table{{"k", 1}});
  CHECK((p.inner.a == 1 && p.inner.b == 5));
  CHECK(p.numbers == std::vector<double>{4});
  CHECK_FALSE(p.maybe.has_value());
  CHECK(bind({{"lr", Table{{"from", 0.3}, {"to", 0.1}}}}).lr == 0.3);
}

TEST_CASE("Parts are made from their tables, weights go to the owner, names are told apart") {
  const auto p =
      bind({{"part", "mlm"},
            {"parts", List{Table{{"type", "clm"}}}},
            {"terms", List{Table{{"type", "mlm"}, {"weight", 2}, {"rate", 0.3}}, Table{{"type", "mlm"}}, "clm"}}});
  CHECK(p.part->from == Table{{"type", "mlm"}});
  CHECK(p.parts.at(0)->from == Table{{"type", "clm"}});
  REQUIRE(p.terms.size() == 3);
  CHECK((p.terms[0].name == "mlm" && p.terms[0].weight == 2));
  CHECK(p.terms[0].part->from == Table{{"type", "mlm"}, {"rate", 0.3}});
  CHECK((p.terms[1].name == "mlm_2" && p.terms[1].weight == 1));
  CHECK(p.terms[2].name == "clm");
  CHECK(bind({{"part", "none"}}).part == nullptr);
  CHECK(bind({{"parts", "none"}}).parts.empty());
}

TEST_CASE("A plan's value of the wrong type is never taken silently") {
  for (const auto& [key, value] : Table{{"lr", "x"},
                                        {"every", 1.0},
                                        {"fused", 1},
                                        {"text", 1},
                                        {"mode", 1},
                                        {"stop", "3 bananas"},
                                        {"length", "x"},
                                        {"scale", Table{{"lern", true}}},
                                        {"model", 3},
                                        {"data", "text"},
                                        {"inner", 3},
                                        {"terms", List{Table{{"weight", 2}}}},
                                        {"part", 3}}) {
    INFO(key);
    CHECK_THROWS_AS(bind({{key, value}}), Error);
  }
}
