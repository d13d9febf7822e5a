#include "plugin/registry.h"

#include <catch2/catch_test_macros.hpp>
#include <stdexcept>

#include "api/optimizer.h"

namespace {

/// A straight line from `from` to `to`; `from` above 10 is refused by the constructor.
class Line final : public xp::Schedule {
 public:
  struct Params {
    double from = 1, to = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::from, "from", "Start.").min(0);
      f.add(&Params::to, "to", "End.");
    }
  };
  explicit Line(Params p) : p_(p) {
    if (p_.from > 10) throw std::runtime_error("too steep");
  }
  double at(double progress) const override { return p_.from + (p_.to - p_.from) * progress; }

 private:
  Params p_;
};

/// A nested component times a factor.
class Scaled final : public xp::Schedule {
 public:
  struct Params {
    std::unique_ptr<xp::Schedule> inner;
    double factor = 2;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::inner, "inner", "What is scaled.").required();
      f.add(&Params::factor, "factor", "By how much.");
    }
  };
  explicit Scaled(Params p) : p_(std::move(p)) {}
  double at(double progress) const override { return p_.factor * p_.inner->at(progress); }

 private:
  Params p_;
};

xp::Registry with_lines() {
  xp::Registry registry;
  registry.adding_for("lines", "/somewhere/lines.so", "00ff");
  registry.add<Line>("line", "A straight line.");
  registry.add<Scaled>("scaled", "Another schedule times a factor.");
  return registry;
}

std::string refusal(const xp::Registry& registry, const xp::Table& table, xp::Exit exit = xp::Exit::failed) {
  try {
    registry.make<xp::Schedule>(table);
  } catch (const xp::Error& error) {
    CHECK(error.exit() == exit);
    return error.what();
  }
  return "made";
}

}  // namespace

TEST_CASE("a component is made with its defaults, which become its settings") {
  const auto made = with_lines().make<xp::Schedule>({{"type", "line"}, {"from", 3.0}});
  CHECK(made->at(0.5) == 1.5);
  CHECK(made->type() == "line");
  CHECK(made->settings() == xp::Table{{"from", 3.0}, {"to", 0.0}});
}

TEST_CASE("a nested component is made by the same registry") {
  const auto made = with_lines().make<xp::Schedule>({{"type", "scaled"}, {"inner", xp::Table{{"type", "line"}}}});
  CHECK(made->at(0) == 2);
  CHECK(made->at(1) == 0);
}

TEST_CASE("the catalogue knows who offers what") {
  const auto registry = with_lines();
  const auto* info = registry.catalogue().find("schedule", "line");
  REQUIRE(info);
  CHECK(info->plugin == "lines");
  CHECK(info->library == "/somewhere/lines.so");
  CHECK(info->hash == "00ff");
  CHECK(registry.catalogue().types("schedule") == std::vector<std::string>{"line", "scaled"});
  CHECK(registry.catalogue().types("optimizer").empty());
  CHECK_FALSE(registry.catalogue().find("schedule", "linear"));
}

TEST_CASE("a type that is taken is refused with both libraries") {
  auto registry = with_lines();
  registry.adding_for("others", "/elsewhere/others.so", "");
  try {
    registry.add<Line>("line", "Again.");
    FAIL("it was added");
  } catch (const xp::Error& error) {
    CHECK(error.exit() == xp::Exit::plugin);
    CHECK(std::string(error.what()) ==
          "schedule `line` of plugin `others` (/elsewhere/others.so) is already offered by "
          "plugin `lines` (/somewhere/lines.so)");
  }
}

TEST_CASE("what cannot be made says why") {
  const auto registry = with_lines();
  CHECK(refusal(registry, {}) == "a schedule needs a `type`; there is `line` and `scaled`");
  CHECK(refusal(registry, {{"type", "cosine"}}, xp::Exit::plugin) ==
        "no schedule `cosine` is loaded; there is `line` and `scaled`");
  CHECK(refusal(registry, {{"type", "line"}, {"form", 2.0}}, xp::Exit::usage)
            .find("`form` is not a parameter of schedule `line`") != std::string::npos);
  CHECK(refusal(registry, {{"type", "line"}, {"from", 11.0}}) == "in schedule `line` (plugin lines): too steep");
}
