#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

namespace sentence_retrieval_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

/// Every token of a document gets the vector [cos a, sin a], a in degrees given by the document's text, in layer
/// `layer`; padding and other layers get something else.
class Planted final : public TestHandle {
 public:
  Planted(const Encoder& encoder, std::int64_t layer) : TestHandle(encoder), layer_(layer) {}
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    if (!want.layers) throw Error("layers are not asked for");
    const auto& mask = batch.dense("input.mask");
    ForwardOutput out;
    for (std::int64_t l = 0; l <= 3; ++l) {
      auto x = xp::ops::full({mask.size(0), mask.size(1), 2}, 5.0f);
      for (std::int64_t i = 0; l == layer_ && i < mask.size(0); ++i) {
        const double angle = std::stod(batch.strings("text")[static_cast<std::size_t>(i)]) * std::acos(-1.0) / 180;
        const auto n = mask[i].sum().item<std::int64_t>();
        const double scale = static_cast<double>(i + 1);  // length must not matter
        x[i].narrow(0, 0, n).select(1, 0).fill_(scale * std::cos(angle));
        x[i].narrow(0, 0, n).select(1, 1).fill_(scale * std::sin(angle));
      }
      out.layers.push_back(x);
    }
    return out;
  }

 private:
  std::int64_t layer_;
};

Document passage(const std::string& language, const std::string& key, int angle) {
  Document out;
  out.id = language + "/" + key, out.group = key, out.language = language, out.text = std::to_string(angle);
  return out;
}

// German: nearest to 0 degrees is a (rank 1); to 10 is c at 11, then b at 14 (rank 2); for c at 20: d at 21, b at 14,
// c at 11 (rank 3). French: b and c in the same place, so each stands behind the other.
std::vector<Document> passages() {
  return {passage("de", "a", 1),  passage("en", "a", 0),  passage("de", "b", 14), passage("en", "b", 10),
          passage("en", "c", 20), passage("de", "c", 11), passage("de", "d", 21), passage("fr", "b", 10),
          passage("fr", "c", 10), passage("en", "e", 90)};
}

TEST_CASE("sentence_retrieval: planted vectors give known ranks, equal ones count against the model") {
  const PieceEncoder encoder(1, 64);
  Planted model(encoder, 2);  // two thirds of three layers
  const auto kept = evaluated({{"type", "sentence_retrieval"}}, model, passages(), 3);
  CHECK(kept.items.size() == 5);
  CHECK(kept.items.at("de/a").at("mrr") == 1);
  CHECK(kept.items.at("de/b").at("mrr") == Approx(1.0 / 2));
  CHECK(kept.items.at("de/c").at("mrr") == Approx(1.0 / 3));
  CHECK(kept.items.at("de/c").at("top1") == 0);
  CHECK(kept.items.at("de/c").at("top5") == 1);
  CHECK(kept.items.at("fr/b").at("mrr") == Approx(1.0 / 2));
  CHECK(kept.items.at("fr/c").at("mrr") == Approx(1.0 / 2));
  CHECK(kept.metrics.at("top1") == Approx((1.0 / 3 + 0) / 2));
  CHECK(kept.metrics.at("top5") == 1);
  CHECK(kept.metrics.at("top10") == 1);
  CHECK(kept.metrics.at("mrr") == Approx(((1 + 1.0 / 2 + 1.0 / 3) / 3 + 1.0 / 2) / 2));
  CHECK((kept.signatures.at("top10") == MetricSignature{"share", "", "set:test", "1"}));
  for (const std::size_t per_batch : {1u, 100u})
    CHECK(evaluated({{"type", "sentence_retrieval"}}, model, passages(), per_batch).metrics == kept.metrics);
}

TEST_CASE("sentence_retrieval: a model that maps all to one point finds nothing at once") {
  const PieceEncoder encoder(1, 64);
  Planted model(encoder, 2);
  std::vector<Document> same;
  for (int i = 0; i < 11; ++i)
    for (const auto* language : {"en", "de"}) same.push_back(passage(language, std::to_string(i), 30));
  const auto kept = evaluated({{"type", "sentence_retrieval"}}, model, same, 7);
  CHECK(kept.metrics.at("top10") == 0);
  CHECK(kept.metrics.at("mrr") == Approx(1.0 / 11));
}

TEST_CASE("sentence_retrieval: layer, language of the queries, and what is refused") {
  const PieceEncoder encoder(1, 64);
  Planted last(encoder, 3);
  CHECK(evaluated({{"type", "sentence_retrieval"}, {"layer", 3}}, last, passages(), 3).metrics.at("top5") == 1);
  const auto german =
      evaluated({{"type", "sentence_retrieval"}, {"layer", 3}, {"queries", "de"}}, last, passages(), 3);
  CHECK(german.items.at("en/a").at("mrr") == 1);
  CHECK_THROWS_AS(evaluated({{"type", "sentence_retrieval"}, {"layer", 4}}, last, passages(), 3), Error);
  CHECK_THROWS_AS(evaluated({{"type", "sentence_retrieval"}, {"queries", "mt"}}, last, passages(), 3), Error);
  CHECK_THROWS_AS(
      evaluated({{"type", "sentence_retrieval"}}, last, {passage("en", "a", 1), passage("de", "b", 1)}, 3), Error);
  CHECK_THROWS_AS(
      evaluated({{"type", "sentence_retrieval"}}, last, {passage("en", "a", 1), passage("en", "a", 1)}, 3), Error);
}

}  // namespace sentence_retrieval_test
