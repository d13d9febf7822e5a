#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

namespace bits_per_byte_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

/// Every token but the first of a window costs log(64) nats; `end` tokens are part of a window.
class Uniform final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  std::vector<Score> score(const Batch& batch) override {
    std::vector<Score> out;
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto n = batch.dense("input.mask")[i].sum().item<std::int64_t>() - 1;
      out.push_back({.nats = static_cast<double>(n) * std::log(64.0), .tokens = n});
    }
    return out;
  }
};

/// Windows that begin with text.
class Bare final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  bool can(std::string_view what) const override { return what != "score"; }
};

TEST_CASE("bits_per_byte: a uniform model needs log2 of the vocabulary per token, windows lose no byte") {
  const PieceEncoder encoder(2, 64);
  Uniform model(encoder);
  const std::vector<Document> documents = {text_document("a", "abcdefghijk"), text_document("b", "xyz")};
  // 6 and 2 pieces; with 3 pieces in a window there are 2 and 1 windows, each with one `end` token.
  const auto whole = evaluated({{"type", "bits_per_byte"}}, model, documents, 4);
  CHECK(whole.metrics.at("bits") == Approx(6.0 * (7 + 3) / 14));
  CHECK(whole.items.at("a").at("bits") == Approx(6.0 * 7 / 11));
  CHECK(whole.metrics.at("nats_per_token") == Approx(std::log(64.0)));
  for (const std::size_t per_batch : {1u, 2u, 9u}) {
    const auto windows = evaluated({{"type", "bits_per_byte"}, {"max_time", 5}}, model, documents, per_batch);
    CHECK(windows.metrics.at("bits") == Approx(6.0 * (8 + 3) / 14));
    CHECK(windows.items.at("a").at("bits") == Approx(6.0 * 8 / 11));
  }
}

TEST_CASE("bits_per_byte: a model that does not score is refused") {
  const PieceEncoder encoder(2, 64);
  Bare model(encoder);
  CHECK_THROWS_AS(evaluated({{"type", "bits_per_byte"}}, model, {text_document("a", "text")}, 1), Error);
}

}  // namespace bits_per_byte_test
