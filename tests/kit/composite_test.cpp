#include "kit/composite.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/evaluator.h"
#include "kit/torch_operators.h"
#include "plugin/loader.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace composite_test {

using Catch::Matchers::ContainsSubstring;
using xp::Table;
using xp::testing::Fixture;

/// Two parts, of which one may rest and one may see another column as its ids.
class Pair final : public xp::CompositeObjective {
 public:
  struct Params {
    std::unique_ptr<xp::Objective> left, right;
    bool rests = false, swaps = false;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::left, "left", "The first part.").required();
      f.add(&Params::right, "right", "The second part.").required();
      f.add(&Params::rests, "rests", "Whether the second part rests.");
      f.add(&Params::swaps, "swaps", "Whether the second part reads its ids from `other`.");
    }
  };
  explicit Pair(Params p) : p_(std::move(p)) {
    add("left", p_.left), add("right", p_.right);
    parts_[1].weight = 0.5;
  }

 private:
  bool runs(std::size_t part, const xp::Batch&) const override { return part == 0 || !p_.rests; }
  const xp::Batch& seen_by(std::size_t part, const xp::Batch& batch, xp::Batch& own) const override {
    if (part == 0 || !p_.swaps) return batch;
    return own = xp::renamed(batch, [](const std::string& name) {
             return name == "ids" ? std::string() : name == "other" ? std::string("ids") : name;
           });
  }
  Params p_;
};

const xp::Registry& registry() {
  static auto& all = *new xp::Registry;
  if (!all.catalogue().list("objective").empty()) return all;
  std::vector<std::string> libraries;
  for (const auto* info : xp::testing::catalogue().list())
    if (std::find(libraries.begin(), libraries.end(), info->library) == libraries.end())
      libraries.push_back(info->library);
  xp::load_plugins(all, xp::testing::catalogue(), libraries);
  all.adding_for("test", "", "");
  all.add<Pair>("pair", "Two objectives.");
  return all;
}

const Table kMasked{{"type", "mlm"}, {"mask_rate", 0.4}}, kNext{{"type", "causal_lm"}};

xp::testing::FixtureSpec spec(Table left, Table right, Table more = {}) {
  xp::testing::FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  more.insert_or_assign("type", "pair");
  more.insert_or_assign("left", std::move(left)), more.insert_or_assign("right", std::move(right));
  s.objective = std::move(more);
  return s;
}

xp::Batch load(Fixture& f) { return f.load(xp::testing::random_texts(spec(kMasked, kNext), 8)); }

TEST_CASE("a composite names what its parts give, weighs it, and hands schedules on") {
  Fixture f(registry(), spec(kMasked, kNext));
  auto batch = load(f);
  const double loss = f.accumulate({batch});
  CHECK(f.terms.size() == 2);
  CHECK(std::abs(loss - (f.terms.at("left.mlm") + 0.5 * f.terms.at("right.causal_lm"))) < 1e-6);
  f.set("left.mask_rate", 1);
  batch = load(f);
  CHECK(batch.dense("labels").ge(0).sum().equal(batch.dense("input.mask").sum()));
}

TEST_CASE("a part of a composite that rests is not counted and runs no pass") {
  Fixture f(registry(), spec(kMasked, kNext, {{"rests", true}}));
  const auto batch = load(f);
  f.accumulate({batch});
  CHECK(f.terms.size() == 1);
  CHECK(f.objective().counts(batch).size() == 1);
  CHECK(f.passes.at("primary") == 1);
}

TEST_CASE("a part of a composite reads the batch as it is shown to it") {
  Fixture f(registry(), spec(kMasked, kNext, {{"swaps", true}})), plain(registry(), spec(kMasked, kNext));
  auto batch = load(f), swapped = batch;
  batch.set("other", batch.dense("masked_ids"));
  swapped.set("ids", batch.dense("masked_ids"));
  f.accumulate({batch}), plain.accumulate({swapped});
  CHECK(f.terms == plain.terms);
  CHECK_FALSE(plain.accumulate({batch}) == f.accumulate({batch}));
}

TEST_CASE("a composite is used as its first part with a way of its own, and is coupled if a part is") {
  auto s = spec(kMasked, {{"type", "classification"}});
  s.dataset_fields.push_back({"label", "", -1});
  s.categories["label"] = {"no", "yes"};
  CHECK(Fixture(registry(), s).handle()->can("predict"));
  CHECK_FALSE(Fixture(registry(), spec(kMasked, kNext)).handle()->can("predict"));
  CHECK(Fixture(registry(), spec(kMasked, {{"type", "in_batch_softmax"}})).objective().batch_coupled());
  CHECK_FALSE(Fixture(registry(), spec(kMasked, kNext)).objective().batch_coupled());
  auto none = spec(kMasked, kNext);
  none.objective["left"] = "none";
  CHECK_THROWS_WITH(Fixture(registry(), none), ContainsSubstring("`left` is none; an objective is needed"));
}

}  // namespace composite_test
