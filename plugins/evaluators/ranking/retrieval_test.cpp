#include "pairs_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace retrieval_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("retrieval: ranks of planted vectors, equal ones count against the model") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  // Documents at 1, 14, 11, 21. Of 0: 1 is first. Of 10: 11, 14 (second). Of 20: 21, 14, 11 (third). 21 is asked for
  // from 300 degrees, farther than all.
  const std::vector<Document> documents = {pair("a", "0", "1"), pair("b", "10", "14"), pair("c", "20", "11"),
                                           pair("d", "300", "21")};
  const auto kept = measured("retrieval", {}, model, documents);
  const double rr[] = {1, 1.0 / 2, 1.0 / 3, 1.0 / 4};
  const char* ids[] = {"a", "b", "c", "d"};
  double mrr = 0, ndcg = 0;
  for (int i = 0; i < 4; ++i) {
    CHECK(kept.items.at(ids[i]).at("mrr@10") == Approx(rr[i]));
    CHECK(kept.items.at(ids[i]).at("ndcg@10") == Approx(1 / std::log2(1 + 1 / rr[i])));
    mrr += rr[i] / 4, ndcg += 1 / std::log2(1 + 1 / rr[i]) / 4;
  }
  CHECK(kept.metrics.at("recall@1") == Approx(1.0 / 4));
  CHECK(kept.metrics.at("recall@10") == 1);
  CHECK(kept.metrics.at("mrr@10") == Approx(mrr));
  CHECK(kept.metrics.at("ndcg@10") == Approx(ndcg));
  CHECK((kept.signatures.at("mrr@10") == MetricSignature{"reciprocal rank", "", "set:test", "1"}));

  std::vector<Document> same;
  for (int i = 0; i < 120; ++i) same.push_back(pair("d" + std::to_string(i), "7", std::to_string(i) + ".0"));
  for (auto& one : same) one.text += std::string(1 + same.size() % 3, ' ') + one.id.substr(1);
  const auto flat = measured("retrieval", {{"pooling", "first"}}, model, same);
  for (const auto& [name, value] : flat.metrics) CHECK(value == 0);
}

TEST_CASE("retrieval: grades say what is relevant and how much it is worth") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  // One query with two relevant documents, of gains 3 and 1, at ranks 2 and 3; the nearest is graded too low.
  const std::vector<Document> documents = {pair("a", "0", "3", "0.5"), pair("b", "0", "5", "1"),
                                           pair("c", "0", "4", "3"), pair("d", "50", "3", "0")};
  const auto kept = measured("retrieval", {}, model, documents);
  CHECK(kept.items.size() == 1);  // nothing is relevant for 50
  CHECK(kept.metrics.at("recall@1") == 0);
  CHECK(kept.metrics.at("recall@10") == 1);
  CHECK(kept.metrics.at("mrr@10") == Approx(0.5));
  const double best = 3 + 1 / std::log2(3.0), found = 3 / std::log2(3.0) + 1 / std::log2(4.0);
  CHECK(kept.metrics.at("ndcg@10") == Approx(found / best));
  const auto strict = measured("retrieval", {{"relevant", 2.0}}, model, documents);
  CHECK(strict.metrics.at("ndcg@10") == Approx(1 / std::log2(3.0)));
  const auto loose = measured("retrieval", {{"relevant", 0.5}}, model, documents);
  CHECK(loose.metrics.at("recall@1") == Approx(1.0 / 3));
  CHECK(loose.metrics.at("mrr@10") == 1);
  CHECK_THROWS_WITH(measured("retrieval", {{"relevant", 4.0}}, model, documents),
                    ContainsSubstring("no pair of `set:test` has a score of at least 4"));
}

TEST_CASE("retrieval: documents without numbers stand before the right one") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  const auto kept = measured("retrieval", {}, model, {pair("a", "0", "1"), pair("b", "10", "nan")});
  CHECK(kept.items.at("a").at("mrr@10") == Approx(1.0 / 2));
  CHECK(kept.items.at("b").at("mrr@10") == Approx(1.0 / 2));
}

}  // namespace retrieval_test
