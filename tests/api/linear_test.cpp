#include <catch2/catch_test_macros.hpp>

#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/autograd.h>

#include "api/ops.h"
#include "base/error.h"
#include "kit/torch_operators.h"

using at::Tensor;

namespace {

/// In double precision, from the formulas.
Tensor expected(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                std::string_view activation) {
  auto y = x.to(at::kDouble).matmul(weight.to(at::kDouble).t());
  if (bias) y = y + bias->to(at::kDouble);
  if (activation == "gelu") return y * 0.5 * ((y * std::sqrt(0.5)).erf() + 1);
  if (activation == "gelu_tanh") return y * 0.5 * (((y + y * y * y * 0.044715) * std::sqrt(2 / M_PI)).tanh() + 1);
  if (activation == "silu") return y * y.sigmoid();
  if (activation == "relu") return y.clamp_min(0);
  return y;
}

Tensor drawn(at::IntArrayRef shape, at::ScalarType type) { return xp::ops::empty(shape).uniform_(-1, 1).to(type); }

}  // namespace

TEST_CASE("a product takes its activation along, whatever its rows, with and without gradients") {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble})
    for (const std::int64_t rows : {0, 1, 3, 4, 70})
      for (const char* activation : {"", "gelu", "gelu_tanh", "silu", "relu"})
        for (const bool differentiated : {false, true})
          for (const bool biased : {false, true}) {
            const auto x = drawn({2, rows, 24}, type);
            const auto weight = drawn({33, 24}, type).requires_grad_(differentiated);
            const auto bias = biased ? std::optional(drawn({33}, type)) : std::nullopt;
            const auto y = xp::ops::linear(x, weight, bias, activation);
            INFO(activation << ", " << rows << " rows, " << at::toString(type));
            REQUIRE(y.sizes() == at::IntArrayRef({2, rows, 33}));
            REQUIRE(y.scalar_type() == type);
            REQUIRE(y.requires_grad() == differentiated);
            const double most = type == at::kBFloat16 ? 0.05 : 1e-5;
            if (rows > 0)
              CHECK((y.to(at::kDouble) - expected(x, weight, bias, activation)).abs().max().item<double>() < most);
          }
}

TEST_CASE("gradients of a product are LibTorch's, those asked for alone, and can be differentiated") {
  const auto x = drawn({3, 50, 24}, at::kBFloat16), upstream = drawn({3, 50, 1100}, at::kBFloat16);
  const auto weight = drawn({1100, 24}, at::kBFloat16), bias = drawn({1100}, at::kBFloat16);
  for (const unsigned wanted : {1U, 2U, 4U, 7U}) {
    const Tensor own[] = {x.clone(), weight.clone(), bias.clone()},
                 peer[] = {x.clone(), weight.clone(), bias.clone()};
    for (std::size_t i = 0; i < 3; ++i)
      own[i].requires_grad_((wanted >> i & 1) != 0), peer[i].requires_grad_((wanted >> i & 1) != 0);
    const auto seen = xp::ops::linear(own[0], own[1], own[2]), known = at::linear(peer[0], peer[1], peer[2]);
    CHECK(seen.equal(known));
    seen.backward(upstream), known.backward(upstream);
    for (std::size_t i = 0; i < 3; ++i) {
      REQUIRE(own[i].grad().defined() == peer[i].grad().defined());
      if (own[i].grad().defined()) CHECK(own[i].grad().allclose(peer[i].grad(), 1e-2, 1e-2));
    }
  }
  const auto free = weight.clone().requires_grad_(true), offset = bias.clone().requires_grad_(true);
  const auto y = xp::ops::linear(x, free, offset);
  const auto first = torch::autograd::grad({y.pow(2).sum()}, {free, offset}, {}, true, true);
  const auto second = torch::autograd::grad({first[1].sum()}, {offset})[0];
  CHECK(second.allclose(xp::ops::full({1100}, 2.0 * 150, at::kBFloat16), 1e-2));  // Σ over 150 rows of (x w + b)²
}

TEST_CASE("a product of parts of tables is that of their copies") {
  const auto x = drawn({8, 16}, at::kFloat), table = drawn({10, 24}, at::kFloat);
  const auto part = table.narrow(1, 0, 16);  // rows with a gap
  CHECK(xp::ops::linear(x, part, {}, "gelu").allclose(xp::ops::linear(x, part.contiguous(), {}, "gelu"), 1e-6, 1e-6));
  const auto turned = drawn({16, 8}, at::kFloat).t();
  CHECK(xp::ops::linear(turned, part).allclose(xp::ops::linear(turned.contiguous(), part), 1e-6, 1e-6));
}

TEST_CASE("an activation that is none is named") {
  CHECK_THROWS_AS(xp::ops::linear(drawn({8, 4}, at::kDouble), drawn({3, 4}, at::kDouble), {}, "tahn"), xp::Error);
  CHECK_THROWS_AS(xp::ops::linear(drawn({8, 4}, at::kFloat), drawn({3, 4}, at::kFloat), {}, "tahn"), xp::Error);
}
