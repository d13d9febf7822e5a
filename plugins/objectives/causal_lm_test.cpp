#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>

#include "api/ops.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace causal_lm_test {

using xp::testing::Fixture;
using xp::testing::FixtureSpec;

FixtureSpec spec(xp::Table objective, at::ScalarType type) {
  FixtureSpec s;
  s.model = {{"type", "transformer"}, {"kind", "decoder"}, {"layers", 2},
             {"width", 16},           {"heads", 2},        {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.type = type;
  return s;
}

TEST_CASE("causal_lm is the mean cross entropy of each token given those before it") {
  for (const auto& [on, field] :
       {std::pair("all", "target"), std::pair("target", "target"), std::pair("target", "segment")}) {
    auto s = spec({{"type", "causal_lm"}, {"loss_on", on}}, at::kDouble);
    s.dataset_fields.push_back({field, "input", 0});
    auto texts = xp::testing::random_texts(s, 6);
    for (auto& group : texts) {  // the last three tokens are the target
      xp::Ints target{std::vector<std::int64_t>(group[0].ints("ids").data.size(), 0)};
      std::fill_n(target.data.end() - 3, 3, 1);
      group[0].fields[field] = target;
    }
    Fixture f(xp::testing::registry(), s);
    const auto batch = f.load(texts);
    const double found = f.accumulate({batch});
    const at::NoGradGuard quiet;
    const auto& w = f.weights("primary").values;
    double nats = 0, count = 0;
    for (const auto& group : texts) {
      const auto ids = xp::ops::tensor(group[0].ints("ids").data, at::kLong);
      const auto from = std::string(on) == "all" ? 1 : ids.size(0) - 3;
      for (auto t = from; t < ids.size(0); ++t, ++count) {
        const auto before =
            f.model("primary").forward(w, {.ids = ids.narrow(0, 0, t).unsqueeze(0)}, {.tokens = true}).tokens;
        nats -= f.model("primary")
                    .logits(w, before[0][t - 1])
                    .log_softmax(-1)[ids[t].item<std::int64_t>()]
                    .item<double>();
      }
    }
    CHECK(std::abs(found - nats / count) < 1e-12);
    CHECK(f.objective().counts(batch).at("causal_lm").sum().item<double>() == count);
  }
}

TEST_CASE("micro-batches of causal_lm add up to the whole batch; texts of one token are no trouble") {
  Fixture f(xp::testing::registry(), spec({{"type", "causal_lm"}}, at::kFloat));
  auto texts = xp::testing::random_texts(spec({}, at::kFloat), 32);
  texts[3][0].ints("ids").data.resize(1);
  const auto batch = f.load(texts);
  const double whole = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {8, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - whole) < 1e-6 * whole);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-6);
  }
  texts.resize(4);
  CHECK(f.accumulate({f.load({texts[3]})}) == 0);
}

}  // namespace causal_lm_test
