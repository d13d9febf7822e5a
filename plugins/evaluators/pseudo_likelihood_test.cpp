#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <set>

#include "base/digest.h"

namespace pseudo_likelihood_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

/// p(id 7) is ten times that of every other token, whatever the text; remembers which bytes were hidden.
class Favours final : public TestHandle {
 public:
  explicit Favours(const Encoder& encoder, double factor = 10) : TestHandle(encoder), factor_(factor) {}
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    const auto& ids = batch.dense("ids");
    std::int64_t masks = 0;
    for (std::int64_t i = 0; i < ids.size(0); ++i)
      for (std::int64_t t = 0; t < ids.size(1); ++t) {
        if (ids[i][t].item<std::int64_t>() != kMask) continue;
        ++masks;
        for (auto b = batch.dense("begin")[i][t].item<std::int64_t>();
             b < batch.dense("end")[i][t].item<std::int64_t>(); ++b)
          hidden.insert({batch.strings("id")[static_cast<std::size_t>(i)], b});
      }
    if (masks != want.at.size(0)) throw Error("other places are asked for than hidden");
    return {.picked = xp::ops::zeros({want.at.size(0), 2})};
  }
  at::Tensor logits(const at::Tensor& rows) override {
    auto out = xp::ops::zeros({rows.size(0), encoder_.size()});
    out.select(1, 7).fill_(std::log(factor_));
    return out;
  }
  std::set<std::pair<std::string, std::int64_t>> hidden;

 private:
  double factor_;
};

const Table kAlmostAll = {{"type", "pseudo_likelihood"}, {"rate", 0.999999}};

TEST_CASE("pseudo_likelihood: a uniform model needs log2 of the vocabulary per token") {
  for (const auto& [width, tokens] : {std::pair(1u, 12.0), {2u, 7.0}, {5u, 3.0}, {20u, 1.0}}) {
    const PieceEncoder encoder(width, 64);
    Favours uniform(encoder, 1);
    const auto kept = evaluated(kAlmostAll, uniform, {text_document("a", "aaaa bbbb cccc")}, 8);
    CAPTURE(width);
    CHECK(kept.metrics.at("bits") == Approx(6.0 * tokens / 12).epsilon(1e-6));
    CHECK(kept.metrics.at("nats_per_token") == Approx(std::log(64.0)).epsilon(1e-6));
    CHECK(kept.items.at("a").at("bits") == kept.metrics.at("bits"));
    CHECK((kept.signatures.at("bits") == MetricSignature{"bits/byte", "", "set:test", "1"}));
    CHECK((kept.signatures.at("nats_per_token") ==
           MetricSignature{"nats/token", sha256(encoder.json()), "set:test", "1"}));
  }
}

TEST_CASE("pseudo_likelihood: losses are those of the hidden tokens") {
  const PieceEncoder encoder(1, 64);  // id of 'v' (118): 5 + 118 % 59 = 5; of 'x' (120): 7
  Favours model(encoder);
  const auto kept = evaluated(kAlmostAll, model, {text_document("a", "xx vvv x zz")}, 8);
  const double all = 10.0 + 63, favoured = -std::log2(10 / all), other = -std::log2(1 / all);
  CHECK(kept.metrics.at("bits") == Approx((3 * favoured + 5 * other) / 8).epsilon(1e-6));
  CHECK(kept.metrics.at("unknown") == Approx(2.0 / 8));
}

TEST_CASE("pseudo_likelihood: a word across windows counts its bytes once") {
  const PieceEncoder encoder(2, 64);
  Favours uniform(encoder, 1);
  Table settings = kAlmostAll;
  settings["max_time"] = 5;  // three pieces: "abcdef" | "gh ij"
  const auto kept = evaluated(settings, uniform, {text_document("a", "abcdefgh ij")}, 1);
  CHECK(kept.metrics.at("bits") == Approx(6.0 * 6 / 10).epsilon(1e-6));
}

TEST_CASE("pseudo_likelihood: every tokenizer guesses the same words, in batches of any size") {
  std::vector<Document> documents;
  for (int i = 0; i < 20; ++i) {
    std::string text;
    for (int w = 0; w < 30; ++w)
      text += std::string(static_cast<std::size_t>(1 + (i * 7 + w * 3) % 6), static_cast<char>('a' + w % 25)) + " ";
    documents.push_back(text_document("d" + std::to_string(i), text));
  }
  const PieceEncoder bytes(1, 64), threes(3, 64);
  Favours by_bytes(bytes), by_threes(threes);
  const Table settings = {{"type", "pseudo_likelihood"}, {"rate", 0.2}, {"max_time", 17}};
  const auto one = evaluated(settings, by_bytes, documents, 1);
  evaluated(settings, by_threes, documents, 4);
  CHECK(by_bytes.hidden.size() > 200);  // 2,100 bytes of words
  CHECK(by_bytes.hidden.size() < 700);
  std::set<std::pair<std::string, std::int64_t>> pieces, expected;
  for (const auto& [id, at] : by_threes.hidden) pieces.insert({id, at / 3});
  for (const auto& [id, at] : by_bytes.hidden) expected.insert({id, at / 3});
  CHECK(pieces == expected);
  for (const std::size_t per_batch : {3u, 1000u}) {
    const auto again = evaluated(settings, by_bytes, documents, per_batch);
    CHECK(again.metrics.at("bits") == Approx(one.metrics.at("bits")).epsilon(1e-9));
    CHECK(again.items.size() == one.items.size());
  }
}

TEST_CASE("pseudo_likelihood: what it cannot measure is refused") {
  PieceEncoder encoder(1, 64);
  Favours model(encoder);
  CHECK_THROWS_AS(evaluated(kAlmostAll, model, {text_document("a", "   ")}, 1), Error);
  encoder.purposes_.erase("mask");
  CHECK_THROWS_AS(evaluated(kAlmostAll, model, {text_document("a", "word")}, 1), Error);
}

}  // namespace pseudo_likelihood_test
