// Transformers that read images, and what they pool.
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/batch.h"
#include "api/model.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_toy_build.h"

namespace image_test {

using at::Tensor;
using Catch::Matchers::ContainsSubstring;

struct Alone {
  explicit Alone(xp::Table more, std::int64_t vocab = 0) : build(vocab) {
    xp::Table table{{"type", "transformer"}, {"layers", 2},     {"width", 8},    {"heads", 2},
                    {"image_size", 6},       {"patch_size", 3}, {"channels", 2}, {"head", "none"}};
    for (auto& [key, value] : more) table.insert_or_assign(key, value);
    if (vocab == 0) table.insert_or_assign("input", "image");
    build.ids = {{"end", 4}};
    model = xp::testing::registry().make<xp::Model>(table);
    model->build(build);
  }
  xp::ForwardOutput run(const Tensor& image, const xp::ForwardRequest& want = {.tokens = true}) {
    xp::Batch batch;
    batch.set("image", image);
    return model->forward(build.own.values, {.fields = &batch}, want);
  }
  xp::testing::ToyBuild build;
  std::unique_ptr<xp::Model> model;
};

Tensor images(std::int64_t items, double shift = 0) {
  return xp::ops::arange(items * 72, at::kDouble).mul(0.7).add(shift).sin().view({items, 2, 6, 6});
}
double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// Settings that reach every branch of an image model.
xp::Table variant(int number) {
  switch (number) {
    case 0: return {};
    case 1:
      return {{"embedding_norm", true}, {"last_norm", "pooled"}, {"patch_bias", false},
              {"pooler", "linear"},     {"pooler_width", 5},     {"pooling", "first"}};
    case 2: return {{"pooler", "tanh"}, {"pooling", "last"}};
    default: return {{"head", "classes"}, {"classes", 3}, {"positions", "sinusoidal"}};
  }
}

TEST_CASE("an image model's gradients are those of finite differences, and every parameter has one") {
  const auto number = GENERATE(0, 1, 2, 3);
  CAPTURE(number);
  Alone m(variant(number));
  auto& all = m.build.own;
  for (auto& value : all.values) value.requires_grad_(true);
  const auto loss = [&] {
    const auto out = m.run(images(2), {.tokens = true, .pooling = xp::Pooling::own});
    auto sum = out.pooled.square().sum() + out.tokens.sin().sum();
    if (number == 3) sum = sum + m.model->logits(all.values, out.tokens).square().sum();
    return sum;
  };
  loss().backward();
  const at::NoGradGuard quiet;
  for (xp::Param i = 0; i < all.size(); ++i) {
    CAPTURE(all.info[i].name);
    REQUIRE(all.values[i].grad().defined());
    auto entry = all.values[i].detach().view({-1})[all.values[i].numel() / 2];
    const auto at = [&](double step) { return entry.add_(step), loss().item<double>(); };
    const double up = at(1e-5), down = at(-2e-5);
    entry.add_(1e-5);
    const double exact = all.values[i].grad().view({-1})[all.values[i].numel() / 2].item<double>();
    CHECK(std::abs((up - down) / 2e-5 - exact) < 1e-6 * std::max(1.0, std::abs(exact)));
    if (!all.info[i].name.ends_with("key.bias")) CHECK(all.values[i].grad().abs().max().item<double>() > 1e-9);
  }
}

TEST_CASE("patches stand row by row behind the class token") {
  const at::NoGradGuard quiet;
  Alone m(xp::Table{{"positions", "none"}, {"patch_bias", false}});
  const auto layers = m.run(images(1), {.layers = true}).layers;
  const auto& w = m.build.own;
  const auto weight = [&](const char* name) { return w.values[w.find(name)]; };
  REQUIRE(layers.front().sizes() == at::IntArrayRef({1, 5, 8}));
  CHECK(apart(layers.front()[0][0], weight("embedding.class")) < 1e-12);
  const auto image = images(1)[0];
  for (std::int64_t row = 0; row < 2; ++row)
    for (std::int64_t column = 0; column < 2; ++column) {
      const auto patch = image.narrow(1, 3 * row, 3).narrow(2, 3 * column, 3);
      const auto there = weight("embedding.patch").mul(patch).sum({1, 2, 3});
      CHECK(apart(layers.front()[0][1 + 2 * row + column], there) < 1e-12);
    }
}

TEST_CASE("the last norm of an image model is of the pooled state alone where settings say so") {
  const at::NoGradGuard quiet;
  Alone all(xp::Table{{"pooling", "first"}}), pooled(xp::Table{{"pooling", "first"}, {"last_norm", "pooled"}});
  const auto one = all.run(images(2), {.tokens = true, .pooling = xp::Pooling::own});
  const auto two = pooled.run(images(2), {.tokens = true, .pooling = xp::Pooling::own});
  CHECK(apart(one.pooled, two.pooled) < 1e-12);
  CHECK(apart(one.tokens, two.tokens) > 1e-3);
  CHECK(apart(pooled.run(images(2), {.pooling = xp::Pooling::own}).pooled, two.pooled) < 1e-12);
  const auto narrow = pooled.run(images(2), {.pooling = xp::Pooling::own, .view = {0, 4}}).pooled;
  CHECK(apart(narrow, two.pooled.narrow(1, 0, 4)) < 1e-12);
}

TEST_CASE("fields of tokens beside an image change nothing") {
  const at::NoGradGuard quiet;
  Alone m(variant(2));
  xp::Batch batch;
  batch.set("image", images(2));
  const auto beside = m.model->forward(m.build.own.values,
                                       {.ids = xp::ops::ones({2, 3}, at::kLong),
                                        .fields = &batch,
                                        .mask = xp::ops::ones({2, 3}, at::kBool),
                                        .segments = xp::ops::ones({2, 3}, at::kLong)},
                                       {.tokens = true});
  CHECK(apart(beside.tokens, m.run(images(2)).tokens) == 0);
}

TEST_CASE("pooling at the end token takes the first that may be read, else the last position") {
  const at::NoGradGuard quiet;
  Alone m(xp::Table{{"pooling", "end"}, {"kind", "decoder"}}, 10);
  const auto ids = xp::ops::tensor({1, 4, 2, 4, 4, 1, 2, 3, 1, 2, 3, 1}).view({3, 4});
  auto mask = xp::ops::ones({3, 4}, at::kBool);
  mask[1].narrow(0, 0, 1).fill_(false);  // an end token in the padding
  mask[2].narrow(0, 3, 1).fill_(false);
  const auto out =
      m.model->forward(m.build.own.values, {.ids = ids, .mask = mask}, {.tokens = true, .pooling = xp::Pooling::own});
  CHECK(apart(out.pooled[0], out.tokens[0][1]) == 0);
  CHECK(apart(out.pooled[2], out.tokens[2][2]) == 0);
  CHECK_THROWS_WITH(m.model->forward(m.build.own.values, {.vectors = m.model->embed(m.build.own.values, ids)},
                                     {.pooling = xp::Pooling::own}),
                    ContainsSubstring("must be `ids`"));
}

TEST_CASE("flops of an image count its patches") {
  Alone m(xp::Table{});
  xp::Batch batch;
  batch.set("image", images(3));
  const double d = 8, f = 32, time = 5, tokens = 15, patches = 12;
  const double layer = tokens * (2 * d * d + 2 * d * d + 2 * d * time + 2 * d * f);
  CHECK(m.model->flops({.fields = &batch}, {.tokens = true}) == 2 * (2 * layer + patches * d * 2 * 9));
}

TEST_CASE("an image model says which settings and images do not fit") {
  const at::NoGradGuard quiet;
  const auto refused = [](xp::Table more, const char* what) {
    CHECK_THROWS_WITH(Alone(more), ContainsSubstring(what));
  };
  refused({{"patch_size", 4}}, "`patch_size` (4) must divide `image_size` (6)");
  refused({{"kind", "decoder"}}, "`kind` is \"encoder\"");
  refused({{"head", "linear"}}, "there is no vocabulary");
  refused({{"segments", 2}}, "there are no tokens");
  refused({{"embedding_width", 4}}, "there is no table of tokens");
  refused({{"pooling", "end"}}, "there is no end token");
  refused({{"image_mean", xp::List{0.5}}}, "each of the 2 `channels`");
  refused({{"head", "classes"}}, "`classes` is 0");
  refused({{"pooler_width", 3}}, "goes with a `pooler`");
  refused({{"last_norm", "pooled"}, {"norm_position", "post"}}, "last_norm = \"pooled\"");
  Alone m(xp::Table{});
  CHECK_THROWS_WITH(m.run(images(1).narrow(3, 0, 5)), ContainsSubstring("the shape [1, 2, 6, 5]; the model reads"));
  CHECK_THROWS_WITH(m.run(images(1)[0]), ContainsSubstring("the model reads [items, 2, 6, 6]"));
  CHECK_THROWS_WITH(m.run(images(1).to(at::kByte)), ContainsSubstring("whole numbers"));
  CHECK_THROWS_WITH(m.model->forward(m.build.own.values, {}, {.tokens = true}), ContainsSubstring("gives no fields"));
  CHECK_THROWS_WITH(m.model->embed(m.build.own.values, xp::ops::ones({1, 1}, at::kLong)),
                    ContainsSubstring("no table of tokens"));
}

}  // namespace image_test
