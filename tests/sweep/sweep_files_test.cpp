// The journal of decisions, a sweep's folder, and what a recipe says of it.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

#include "../scratch.h"
#include "components.h"
#include "results/run_log.h"
#include "sweep/folder.h"
#include "sweep/measure.h"

using namespace xp;
using namespace xp::sweep;
using Catch::Matchers::ContainsSubstring;

namespace {

Event trial(std::int64_t number) {
  return {.kind = Event::Kind::trial, .arm = "main", .number = number, .values = Table{{"stage.a.x", 0.5}}};
}

Rules with_axes(const std::string& when_b, std::vector<std::string> arms) {
  Rules out;
  out.arms = std::move(arms);
  Table a{{"key", "stage.a.x"}, {"log_uniform", List{1e-4, 1e-1}}};
  Table b{{"key", "stage.a.y"}, {"values", List{"p", "q"}}, {"zip", "both"}};
  if (!when_b.empty()) b.insert_or_assign("when", value_from_json(when_b));
  out.axes = {Value(b), Value(a)};
  return out;
}

}  // namespace

TEST_CASE("two readers of one journal see what the other appends") {
  const Scratch scratch;
  Book one(scratch.path()), two(scratch.path());
  CHECK(one.news().empty());
  one.append({trial(0), trial(1)});
  const auto seen = two.news();
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].number == 1);
  CHECK(seen[1].values.at("stage.a.x") == Value(0.5));
  two.append({{.kind = Event::Kind::done, .arm = "main", .number = 0, .value = 0.25, .file = "f.h5"}});
  const auto back = one.news();
  REQUIRE(back.size() == 1);
  CHECK(back[0].kind == Event::Kind::done);
  CHECK(back[0].value == 0.25);
  CHECK(back[0].file == "f.h5");
  CHECK(two.news().empty());
}

TEST_CASE("a record that its writer could not end is cut off by the next one") {
  const Scratch scratch;
  Book one(scratch.path());
  one.append({trial(0)});
  std::ofstream(one.file(), std::ios::app | std::ios::binary) << "torn";
  Book two(scratch.path());
  CHECK(two.news().size() == 1);
  two.append({trial(1)});
  CHECK(Book(scratch.path()).news().size() == 2);
  CHECK(one.news().size() == 1);
}

TEST_CASE("a journal that tells of what cannot be is refused") {
  const Scratch scratch;
  Trials trials({});
  trials.apply(trial(0));
  CHECK_THROWS_WITH(trials.apply(trial(0)), ContainsSubstring("twice"));
  CHECK_THROWS_WITH(trials.apply({.kind = Event::Kind::done, .arm = "main", .number = 3}),
                    ContainsSubstring("trial 3") && ContainsSubstring("nobody proposed"));
  CHECK_THROWS_WITH(event_from(R"({"event": "jump", "arm": "a", "number": 1})", "j"), ContainsSubstring("one of"));
  CHECK_THROWS_WITH(event_from(R"({"event": "done", "arm": "a", "number": -1})", "j"),
                    ContainsSubstring("0 or more"));
  CHECK_THROWS_WITH(event_from("[]", "j"), ContainsSubstring("not a JSON object"));
}

TEST_CASE("a sweep's folder gives back what it was begun with") {
  const Scratch scratch;
  Header header;
  header.recipe = "/somewhere/r.toml", header.name = "r", header.source = "# r.toml\n";
  header.options.set = {"a=1"}, header.options.arms = {"x"}, header.options.seeds = {3, 4};
  header.options.smoke = true, header.options.root = "/somewhere";
  header.identity = {"one", "two"}, header.binaries = {"engine 1"}, header.goal = "score.x", header.higher = true;
  header.retries = {{"crash", 2}};
  const auto folder = begin_sweep(scratch.path(), header);
  const auto back = read_header(folder);
  CHECK(back.options.set == header.options.set);
  CHECK(back.options.seeds == header.options.seeds);
  CHECK(back.options.smoke);
  CHECK(back.identity == header.identity);
  CHECK(back.retries == header.retries);
  CHECK(back.higher);
  CHECK_FALSE(back.started.empty());
  CHECK(find_sweeps(scratch.path(), "r") == std::vector{folder});
  CHECK(find_sweeps(scratch.path(), "../r").empty());
  CHECK_THROWS_WITH(read_header(scratch.path()), ContainsSubstring("holds no sweep"));
  CHECK(find_results(scratch.path(), "r").empty());
}

TEST_CASE("axes come behind those that they depend on, and only in their arms") {
  const auto rules = with_axes(R"({"stage.a.x": [0.1], "arm": ["one"]})", {"one[0]", "two"});
  const auto one = axes_of(rules, "one[0]");
  REQUIRE(one.size() == 2);
  CHECK(one[0].key == "stage.a.x");
  CHECK(one[0].logarithmic);
  CHECK(one[0].low == 1e-4);
  CHECK(one[1].key == "stage.a.y");
  CHECK(one[1].zip == "both");
  REQUIRE(one[1].when.size() == 1);
  CHECK(one[1].when[0].key == "stage.a.x");
  CHECK(axes_of(rules, "two").size() == 1);
}

TEST_CASE("conditions in a circle are refused, and one over an absent axis drops its axis") {
  auto rules = with_axes(R"({"stage.a.x": [0.1]})", {"main"});
  rules.axes[1].as<Table>()->insert_or_assign("when", value_from_json(R"({"stage.a.y": ["p"]})"));
  CHECK_THROWS_WITH(axes_of(rules, "main"), ContainsSubstring("circle"));
  rules.axes.pop_back();
  CHECK(axes_of(rules, "main").empty());
}

TEST_CASE("what differs between two sweeps is shown line by line") {
  CHECK(difference_of({"a", "b"}, {"b", "c"}) == "- a\n+ c");
  CHECK(difference_of({"1", "2", "3"}, {}, 2) == "- 1\n- 2\n  and 1 line more");
}
