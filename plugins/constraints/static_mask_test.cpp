
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace static_mask_test {

using xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

FixtureSpec spec() {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 16}, {"heads", 2}, {"max_time", 32}, {"init_sd", 0.2}};
  s.objective = {{"type", "mlm"}, {"mask_rate", 0.3}};
  s.optimizer = {{"type", "adamw"}};
  return s;
}
std::unique_ptr<xp::Constraint> mask(Table more = {}) {
  more.insert_or_assign("type", "static_mask");
  return xp::testing::registry().make<xp::Constraint>(more);
}
void steps(Fixture& f, int n) {
  for (int i = 0; i < n; ++i)
    f.accumulate({f.load(random_texts(spec(), 4, 1, static_cast<std::uint64_t>(i)))}), f.update(1e-2, 0.1);
}

TEST_CASE("masked weights are exactly zero after a hundred steps with weight decay, others move") {
  Fixture f(xp::testing::registry(), spec());
  const auto constraint = mask({{"sparsity", 0.5}});
  f.constrain(*constraint);
  std::vector<at::Tensor> alive, before;
  for (const auto& value : f.all().values)
    alive.push_back(value.detach().ne(0)), before.push_back(value.detach().clone());
  steps(f, 100);
  double share = 0, dense = 0;
  for (xp::Param i = 0; i < f.all().size(); ++i) {
    const auto value = f.all().values[i].detach();
    INFO(f.all().info[i].name);
    if (f.all().info[i].role != "dense") {
      CHECK(constraint->density(f.all().info[i]) == 1);
      continue;
    }
    CHECK(value.ne(0).equal(alive[i]));
    CHECK_FALSE(value.equal(before[i]));
    share += alive[i].sum().item<double>(), dense += static_cast<double>(value.numel());
    CHECK(std::abs(constraint->density(f.all().info[i]) - alive[i].to(at::kDouble).mean().item<double>()) < 1e-6);
  }
  CHECK(std::abs(share / dense - 0.5) < 0.03);
}

TEST_CASE("a mask of no zeros changes no step") {
  Fixture free(xp::testing::registry(), spec()), bound(xp::testing::registry(), spec());
  const auto constraint = mask({{"sparsity", 0.0}});
  bound.constrain(*constraint);
  steps(free, 10), steps(bound, 10);
  for (xp::Param i = 0; i < free.all().size(); ++i) CHECK(free.all().values[i].equal(bound.all().values[i]));
}

TEST_CASE("zeros that are there stay, and a saved mask comes back") {
  Fixture f(xp::testing::registry(), spec());
  const auto first = mask({{"sparsity", 0.75}});
  f.constrain(*first);
  const auto again = mask({{"keep", "zeros"}});
  f.constrain(*again);
  xp::State a, b;
  first->save(a), again->save(b);
  for (const auto& info : f.all().info) {
    if (info.role != "dense") continue;
    CHECK(a.child("mask").tensor(info.name).equal(b.child("mask").tensor(info.name)));
  }
  const auto other = mask({{"sparsity", 0.1}});
  f.constrain(*other);
  other->load(a);
  xp::State c;
  other->save(c);
  for (const auto& info : f.all().info)
    if (info.role == "dense") CHECK(a.child("mask").tensor(info.name).equal(c.child("mask").tensor(info.name)));
}

TEST_CASE("a pattern that fits nothing says so") {
  Fixture f(xp::testing::registry(), spec());
  const auto constraint = mask({{"on", "role:desne"}});
  CHECK_THROWS_WITH(f.constrain(*constraint), Catch::Matchers::ContainsSubstring("no parameter fits"));
}

}  // namespace static_mask_test
