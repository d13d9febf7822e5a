#include "engine/dropout.h"

#include <ATen/Parallel.h>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "api/ops.h"
#include "base/error.h"

using namespace xp;

namespace {

std::vector<RandomStream> item_streams(std::uint64_t first, int n) {
  std::vector<RandomStream> out;
  for (int i = 0; i < n; ++i) out.emplace_back(RandomStream::mix(first + static_cast<std::uint64_t>(i)));
  return out;
}

}  // namespace

TEST_CASE("dropout keeps the same elements on every device and in every type, with their mean") {
  const auto streams = item_streams(5, 7);
  for (const std::int64_t n : {1, 63, 64, 65, 1001}) {
    const auto kept = kept_by_tensor(streams, n, 0.3, at::kCPU);
    for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const auto out = keyed_dropout(ops::ones({7, n}, type), 0.3, streams);
      CHECK(out.ne(0).equal(kept));
      CHECK(out.masked_select(kept).sub(1 / 0.7).abs().max().item<double>() < (type == at::kBFloat16 ? 5e-3 : 1e-6));
    }
  }
  const auto large = kept_by_tensor(item_streams(9, 40), 5000, 0.1, at::kCPU);
  CHECK(large.to(at::kDouble).mean().item<double>() == Catch::Approx(0.9).margin(4 * 0.3 / std::sqrt(200000.0)));
  // High and low halves of one number are drawn apart.
  const auto pairs = large.view({40, 2500, 2}).to(at::kDouble);
  CHECK(pairs.prod(-1).mean().item<double>() == Catch::Approx(0.81).margin(4 * 0.39 / std::sqrt(100000.0)));
}

TEST_CASE("dropout of bfloat16 is the product with the mask and the scale, to the bit") {
  const auto streams = item_streams(21, 5);
  const auto kept = kept_by_tensor(streams, 777, 0.1, at::kCPU);
  const auto numbers = ops::arange(5 * 777, at::TensorOptions(at::kFloat)).view({5, 777});
  auto x = numbers.sin().mul_(1e3).to(at::kBFloat16);
  x[0][3] = std::numeric_limits<float>::infinity(), x[1][5] = 3.3e38f, x[2][7] = 1e-39f;
  const auto gradient = numbers.cos().to(at::kBFloat16);
  const double scale = 1 / (1 - std::llround(0.1 * 0x1p32) * 0x1p-32);
  const auto by_tensors = [&](const at::Tensor& from) { return from.mul(scale).masked_fill(kept.logical_not(), 0); };
  auto leaf = x.clone().requires_grad_();
  const auto out = keyed_dropout(leaf, 0.1, streams);
  CHECK(out.detach().equal(by_tensors(x)));
  out.backward(gradient);
  CHECK(leaf.grad().equal(by_tensors(gradient)));
}

TEST_CASE("a stream's half decides: element by element as the header says") {
  const auto streams = item_streams(11, 2);
  const auto kept = kept_by_tensor(streams, 9, 0.5, at::kCPU);
  for (std::int64_t row = 0; row < 2; ++row) {
    auto random = streams[static_cast<std::size_t>(row)];
    for (std::int64_t k = 0; k < 9; k += 2) {
      const auto bits = random.next();
      CHECK(kept[row][k].item<bool>() == (bits >> 32 >= 0x80000000u));
      if (k + 1 < 9) CHECK(kept[row][k + 1].item<bool>() == ((bits & 0xFFFFFFFFu) >= 0x80000000u));
    }
  }
}

TEST_CASE("dropout does not depend on how items are split, on threads or on strides") {
  const auto streams = item_streams(3, 6);
  const auto x = ops::arange(6 * 40 * 5, at::TensorOptions(at::kFloat)).add(1).view({6, 40, 5});
  const auto whole = keyed_dropout(x, 0.25, streams);
  const std::vector<RandomStream> first(streams.begin(), streams.begin() + 2),
      rest(streams.begin() + 2, streams.end());
  CHECK(ops::cat({keyed_dropout(x.narrow(0, 0, 2), 0.25, first), keyed_dropout(x.narrow(0, 2, 4), 0.25, rest)}, 0)
            .equal(whole));
  CHECK(keyed_dropout(x.transpose(1, 2).contiguous().transpose(1, 2), 0.25, streams).equal(whole));
  const int threads = at::get_num_threads();
  at::set_num_threads(4);
  CHECK(keyed_dropout(x, 0.25, streams).equal(whole));
  at::set_num_threads(threads);
  CHECK_THROWS_AS(keyed_dropout(x, 0.25, first), Error);
}

TEST_CASE("attention weights draw by head, query and key, however far texts are padded") {
  const auto streams = item_streams(7, 3);
  const auto ones = [](std::int64_t time) { return ops::ones({3, 2, time, time}, at::TensorOptions(at::kFloat)); };
  const auto longer = keyed_dropout(ones(9), 0.4, streams);
  CHECK(longer.narrow(2, 0, 6).narrow(3, 0, 6).equal(keyed_dropout(ones(6), 0.4, streams)));
  CHECK_FALSE(longer.select(1, 0).equal(longer.select(1, 1)));
  CHECK_FALSE(longer.select(2, 0).equal(longer.select(2, 1)));
}

TEST_CASE("the gradient of dropout passes where values passed, by the same factor") {
  const auto streams = item_streams(8, 3);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto x = ops::ones({3, 130}, type).set_requires_grad(true);
    const auto out = keyed_dropout(x, 0.4, streams);
    const auto weight = ops::arange(390, at::TensorOptions(type)).view({3, 130});
    out.mul(weight).sum().backward();
    CHECK(x.grad().sub(out.detach().mul(weight)).abs().max().item<double>() < 1e-3);
    CHECK(x.grad().ne(0).sum().item<std::int64_t>() > 150);
  }
}
