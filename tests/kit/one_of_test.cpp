#include "kit/one_of.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace one_of_test {

using Catch::Matchers::ContainsSubstring;

/// Writes one number drawn from its stream into a field of its own, as often as the text is long.
class Mark final : public xp::Transform {
 public:
  explicit Mark(std::string field) : field_(std::move(field)) {}
  xp::FieldUse fields() const override { return {{"ids"}, {"hint"}, {{field_, "input", -1}, {"both", "", 9}}}; }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) {
      item.fields[field_] = xp::Ints{std::vector<std::int64_t>(item.ints("ids").data.size(), random.below(1000000))};
      item.fields["both"] = xp::Ints{{1}};
    }
  }
  xp::Lengths lengths(std::int64_t raw, xp::RandomStream) const override { return {raw, extra}; }
  std::vector<xp::Subscription> subscriptions() const override { return {{"heard", 1, {}}}; }
  void receive(const xp::Feedback&) override { ++heard; }
  void set(std::string_view parameter, double value) override {
    if (parameter == "extra") extra = static_cast<std::int64_t>(value);
  }
  void save(xp::State& state) const override { state.set("heard", xp::Ints{{heard}}); }
  void load(const xp::State& state) override { heard = state.ints("heard").data.at(0); }

  std::int64_t extra = 0, heard = 0;

 private:
  std::string field_;
};

std::vector<xp::OneOf::Part> parts() {
  std::vector<xp::OneOf::Part> out;
  out.push_back({"first", std::make_unique<Mark>("a")});
  out.push_back({"second", std::make_unique<Mark>("b")});
  out.push_back({"third", nullptr});
  return out;
}

xp::Example marked(const xp::OneOf& one, std::uint64_t key = 5) {
  std::vector<xp::Example> group{{1, 1, ""}};
  group[0].fields["ids"] = xp::Ints{{7, 8, 9}};
  auto random = xp::RandomStream(key);
  one.apply(group, random);
  return group[0];
}

using Longs = std::vector<std::int64_t>;

TEST_CASE("one of several transforms serves a group; what only others write is padding") {
  std::size_t part = 0;
  const xp::OneOf one("draw", parts(), [&](const xp::RandomStream&) { return part; });
  const auto first = marked(one);
  CHECK(first.ints("a").data == Longs(3, xp::RandomStream(5).below(1000000)));  // it inherits the stream
  CHECK(first.ints("b").data == Longs{-1, -1, -1});
  CHECK(first.ints("draw.term").data == Longs{0});
  part = 1;
  const auto second = marked(one);
  auto forked = xp::RandomStream(5).fork(1);
  CHECK(second.ints("b").data == Longs(3, forked.below(1000000)));
  CHECK(second.ints("a").data == Longs{-1, -1, -1});
  CHECK(second.ints("draw.term").data == Longs{1});
  part = 2;
  const auto third = marked(one);
  CHECK((third.ints("a").data == Longs{-1, -1, -1} && third.ints("both").data == Longs{9}));
  CHECK(one.fields().reads == xp::Strings{"ids"});
  CHECK(one.fields().reads_if_there == xp::Strings{"hint"});
  CHECK(one.fields().writes.size() == 4);
  CHECK(one.foreign(0) == std::set<std::string>{"b"});
  CHECK(one.foreign(1) == std::set<std::string>{"a"});
  CHECK(one.foreign(2) == std::set<std::string>{"a", "b", "both"});
}

TEST_CASE("turns go on with the messages of steps, however many of one step, and are saved") {
  const auto make = [](const char* name = "turn") {
    return xp::OneOf(name, parts(), [](const Longs& turns) {
      return static_cast<std::size_t>((turns[0] + turns[1] + turns[2]) % 3);
    });
  };
  auto one = make();
  const auto now = [](const xp::OneOf& o) { return marked(o).ints("turn.term").data.at(0); };
  const auto step = [&](std::int64_t n) { one.receive({"turn.step", n, {}}); };
  CHECK(one.subscriptions().size() == 3);
  CHECK(now(one) == 0);
  step(0), step(0), step(0);
  CHECK(now(one) == 1);
  step(3);  // the steps between said nothing
  CHECK(now(one) == 4 % 3);
  one.receive({"heard", 3, {}});
  CHECK(now(one) == 4 % 3);
  xp::State state;
  one.save(state);
  CHECK(state.child("first").ints("heard").data == Longs{1});
  auto again = make();
  again.load(state);
  CHECK(now(again) == now(one));
  again.receive({"turn.step", 4, {}});
  CHECK(now(again) == 2);
}

TEST_CASE("texts are cut for the part that is drawn, or for all that may come") {
  auto drawn = xp::OneOf("draw", parts(),
                         [](const xp::RandomStream& random) { return static_cast<std::size_t>(random.key() % 2); });
  drawn.set("first.extra", 3), drawn.set("second.extra", 5), drawn.set("extra", 100);
  CHECK(drawn.lengths(7, xp::RandomStream(4)).target == 3);
  CHECK(drawn.lengths(7, xp::RandomStream(5)).target == 5);
  auto some = parts();
  some[1].serves = false;
  xp::OneOf turns("turn", std::move(some), [](const Longs&) { return std::size_t{0}; });
  turns.set("first.extra", 3), turns.set("second.extra", 5);
  CHECK(turns.lengths(7, xp::RandomStream(4)).input == 7);
  CHECK(turns.lengths(7, xp::RandomStream(4)).target == 3);
}

TEST_CASE("one of a name cannot stand inside one of the same name") {
  const auto choose = [](const xp::RandomStream&) { return std::size_t{0}; };
  const auto nested = [&](const char* outer, const char* inner) {
    std::vector<xp::OneOf::Part> all;
    all.push_back({"inner", std::make_unique<xp::OneOf>(inner, parts(), choose)});
    xp::OneOf(outer, std::move(all), choose);
  };
  CHECK_NOTHROW(nested("draw", "turn"));
  CHECK_THROWS_WITH(nested("draw", "draw"), ContainsSubstring("a draw is a term of a draw"));
  CHECK_THROWS_WITH(nested("urn", "urn"), ContainsSubstring("an urn is a term of an urn"));
}

}  // namespace one_of_test
