#pragma once
// What checks of several sketches share.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>

#include "api/checkpoint_transform.h"
#include "api/evaluator.h"
#include "testing/torch_fixture.h"

namespace sketches {

using xp::Batch, xp::Example, xp::List, xp::Registry, xp::Table;
using Engine = xp::testing::Fixture;
using StageSpec = xp::testing::FixtureSpec;
using xp::testing::largest_difference, xp::testing::gradients, xp::testing::split;
using Groups = std::vector<std::vector<Example>>;

/// All sketches, made once.
const Registry& registry();

inline void check(bool good, const char* what) {
  INFO(what);
  CHECK(good);
}
inline bool near(double a, double b, double tolerance = 1e-6) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}
template <class F>
inline bool throws(const F& f) {
  try {
    f();
  } catch (const xp::Error&) {
    return true;
  }
  return false;
}

inline double checksum(const xp::Parameters& all) {
  double sum = 0;
  for (xp::Param i = 0; i < all.size(); ++i)
    sum += static_cast<double>(i + 1) * all.values[i].detach().to(at::kDouble).square().sum().item<double>();
  return sum;
}

/// Random texts of unequal length; groups of `members`.
inline Groups texts(int groups, int members = 1, std::uint64_t seed = 7, int length = 0) {
  Groups all;
  for (int g = 0; g < groups; ++g) {
    auto random = xp::RandomStreams(seed).stream(0, static_cast<std::uint64_t>(g));
    auto& group = all.emplace_back();
    for (int m = 0; m < members; ++m) {
      Example item{g * members + m, g, g % 2 ? "odd" : "even", {}};
      xp::Ints ids;
      for (auto n = length ? length : 6 + random.below(14); n > 0; --n) ids.data.push_back(25 + random.below(23));
      item.fields["better"] = xp::Ints{{m == 0}};
      item.fields["ids"] = std::move(ids);
      group.push_back(std::move(item));
    }
  }
  return all;
}

inline StageSpec spec(Table objective) {
  StageSpec s;
  s.reserved = {{"mask", 3}, {"end", 4}, {"mode.0", 5}, {"mode.1", 6}, {"mode.2", 7}, {"first_text", 25}};
  for (int i = 0; i < 16; ++i) s.reserved["sentinel." + std::to_string(i)] = 8 + i;
  s.model = {{"type", "tiny_transformer"}};
  s.optimizer = {{"type", "adamw"}};
  s.dataset_fields.push_back({"better", "", 0});
  s.objective = std::move(objective);
  return s;
}

}  // namespace sketches
