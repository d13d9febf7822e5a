#include "pairs_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

namespace bm25_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

TEST_CASE("rerank: BM25 normalises lengths as its formula says") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 1;
  // Twice in six words against once in two, four on average: the longer one leads as long as b < 2 / 3.
  const std::vector<Document> documents = {pair("long", "Cat", "cat a b cat, c d"), pair("short", "none", "a CAT")};
  const auto reciprocal = [&](double b, double k1) {
    return measured("rerank", {{"b", b}, {"k1", k1}}, model, documents).items.at("long").at("bm25_mrr@10");
  };
  for (const double k1 : {0.5, 1.2, 5.0}) {
    CHECK(reciprocal(0.65, k1) == 1);
    CHECK(reciprocal(0.68, k1) == Approx(0.5));
  }
  CHECK(reciprocal(0, 0) == Approx(0.5));  // only that the word occurs: a tie
}

TEST_CASE("rerank: BM25 weighs rare words by its formula, repeated ones of the query count again") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 1;
  // ln(1 + 9.5 / 1.5) = 1.99 for the rare word; twice ln(1 + 7.5 / 3.5) = 2.29 for one in 3 of 10 documents, twice
  // ln(1 + 6.5 / 4.5) = 1.79 for one in 4.
  for (const int common : {3, 4}) {
    std::vector<Document> documents = {pair("q", "rare often often", "rare x")};
    for (int i = 0; i < 9; ++i)
      documents.push_back(
          pair("d" + std::to_string(i), "none", (i < common ? "often y" : "z y") + std::to_string(i)));
    const auto kept = measured("rerank", {}, model, documents);
    CHECK(kept.items.at("q").at("bm25_mrr@10") == Approx(common == 3 ? 1.0 / 4 : 1));
  }
}

TEST_CASE("rerank: BM25 lets counts saturate by its formula") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 1;
  // The word in 1 of 10 documents weighs 1.9924, twice the one in 2 of 10 weighs 1.4816 * 2 (k1 + 1) / (2 + k1):
  // equal at k1 = 1.0524.
  std::vector<Document> documents = {pair("q", "rare often", "often often"), pair("a", "none", "rare x"),
                                     pair("b", "none", "often y")};
  for (int i = 0; i < 7; ++i) documents.push_back(pair("d" + std::to_string(i), "none", "z y" + std::to_string(i)));
  const auto reciprocal = [&](double k1) {
    return measured("rerank", {{"b", 0.0}, {"k1", k1}}, model, documents).items.at("q").at("bm25_mrr@10");
  };
  CHECK(reciprocal(1.05) == Approx(1.0 / 2));
  CHECK(reciprocal(1.06) == 1);
}

}  // namespace bm25_test
