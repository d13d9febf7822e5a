#include <catch2/catch_test_macros.hpp>

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
