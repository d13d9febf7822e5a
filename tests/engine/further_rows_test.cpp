// Tokens that a model has no rows for, read from rows beside its table.
#include <c10/core/GradMode.h>

#include "engine/host_handle.h"
#include "engine/session.h"
#include "testing/testing.h"
#include "testing/torch_toy_build.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr std::int64_t kKnown = 12, kFurther = 3;

/// A transformer of kKnown tokens as a stage runs it, and one whose table has kFurther rows more.
struct Twice {
  explicit Twice(const Table& settings) : small(checkpoint(settings)), large(checkpoint(settings)) {
    auto& table = large.parameters.values[large.parameters.find("embedding.token")];
    RandomStream random(5);
    more = testing::toy_normal(random, {kFurther, table.size(1)}, {0, 0.5}, at::kFloat);
    for (auto i : large.parameters.distinct()) {
      auto& value = large.parameters.values[i];
      if (large.parameters.info[i].role == "vocab.input")
        value = ops::cat({value, more});
      else if (large.parameters.info[i].role == "vocab.bias")
        value = ops::cat({value, ops::zeros({kFurther}, at::kFloat)});
    }
  }

  static Checkpoint checkpoint(const Table& settings) {
    auto typed = settings;
    typed.merge(Table{{"type", "transformer"}, {"layers", 2}, {"width", 8}, {"heads", 2}, {"max_time", 10}});
    testing::ToyBuild build(kKnown, at::kFloat);
    const auto model = testing::registry().make<Model>(typed);
    model->build(build);
    Checkpoint out;
    out.type = "transformer", out.settings = model->settings(), out.parameters = build.own;
    return out;
  }

  /// A handle's answer under these weights; `rows` undefined: encode().
  static ForwardOutput run(const Checkpoint& from, const Batch& batch, const ForwardRequest& want,
                           const at::Tensor& rows = {}) {
    Session session(testing::registry(), RandomStreams(1), {}, at::kFloat);
    session.add_own_model("primary", {}, &from, {});
    session.refresh();
    const auto plain = session.handle({});
    HostHandle handle(*plain, at::kCPU);
    WrappedHandle wrapped(handle);
    return rows.defined() ? wrapped.encode_with(batch, want, rows) : wrapped.encode(batch, want);
  }

  Checkpoint small, large;
  at::Tensor more;
};

Batch two_texts() {
  Batch out;
  out.sample_id = ops::tensor({0, 1}, at::kLong), out.group_id = out.sample_id;
  const std::vector<std::int64_t> ids{3, kKnown, 5, kKnown + 2, 1, kKnown + 1, kKnown + 1, 2, 0, 0};
  out.set("ids", ops::tensor(ids).view({2, 5}));
  out.set("input.mask", ops::tensor({1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, at::kLong).view({2, 5}).to(at::kBool));
  return out;
}

TEST_CASE("further rows: as if the table had them, whatever reads it") {
  for (const Table& settings :
       {Table{{"kind", "encoder"}}, Table{{"kind", "decoder"}}, Table{{"kind", "encoder"}, {"vocab_rank", 4}}}) {
    const Twice twice(settings);
    const auto batch = two_texts();
    for (const std::int64_t layers : {0, 1}) {
      const ForwardRequest want{.tokens = true, .view = {.layers = layers}};
      const auto expected = Twice::run(twice.large, batch, want).tokens,
                 made = Twice::run(twice.small, batch, want, twice.more).tokens;
      const auto seen = batch.dense("input.mask").unsqueeze(2);
      CHECK(made.sub(expected).mul(seen).abs().max().item<double>() < 1e-5);
    }
  }
}

TEST_CASE("further rows: texts without new tokens are what encode() gives") {
  const Twice twice(Table{{"kind", "encoder"}});
  auto batch = two_texts();
  batch.set("ids", batch.dense("ids").remainder(kKnown));
  const auto a = Twice::run(twice.small, batch, {.tokens = true}).tokens,
             b = Twice::run(twice.small, batch, {.tokens = true}, twice.more).tokens;
  CHECK(a.sub(b).mul(batch.dense("input.mask").unsqueeze(2)).abs().max().item<double>() < 1e-5);
}

TEST_CASE("further rows: gradients reach them, and are differences of two passes") {
  for (const char* kind : {"encoder", "decoder"}) {
    const Twice twice(Table{{"kind", kind}});
    const auto batch = two_texts();
    const auto loss = [&](const at::Tensor& rows) {
      return Twice::run(twice.small, batch, {.tokens = true}, rows).tokens.select(1, 3).square().sum();
    };
    auto rows = twice.more.clone().requires_grad_(true);
    loss(rows).backward();
    REQUIRE(rows.grad().defined());
    for (const auto& value : twice.small.parameters.values) CHECK_FALSE(value.grad().defined());
    const at::NoGradGuard quiet;
    for (std::int64_t row = 0; row < kFurther; ++row)
      for (std::int64_t d = 0; d < 8; d += 3) {
        auto up = twice.more.clone(), down = twice.more.clone();
        up[row][d] += 0.01, down[row][d] -= 0.01;
        const double slope = loss(up).sub(loss(down)).item<double>() / 0.02;
        CHECK(rows.grad()[row][d].item<double>() == Approx(slope).margin(0.02).epsilon(0.02));
      }
    CHECK_FALSE(loss(twice.more.clone().requires_grad_(true)).requires_grad());
  }
}

TEST_CASE("further rows: what cannot be says so") {
  const Twice twice(Table{{"kind", "encoder"}});
  const auto run = [&](const Checkpoint& from, const at::Tensor& rows) {
    Twice::run(from, two_texts(), {.tokens = true}, rows);
  };
  CHECK_THROWS_WITH(run(twice.small, ops::zeros({3, 7}, at::kFloat)),
                    ContainsSubstring("another width than the model's input table, which has 8"));
  // A table that is projected behind its norm takes no vectors in its place.
  const auto narrow = Twice::checkpoint({{"kind", "encoder"}, {"embedding_width", 4}, {"embedding_norm", true}});
  CHECK_THROWS_WITH(run(narrow, ops::zeros({3, 4}, at::kFloat)),
                    ContainsSubstring("reads no vectors in the place of tokens"));
}

}  // namespace
}  // namespace xp::engine_test
