#include "pairs_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace ranking_test {

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

TEST_CASE("rerank: the head orders what BM25 hands over, and finds nothing else") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 1;
  const std::vector<Document> documents = {pair("a", "apple", "apple apple 1"), pair("b", "pear", "pear 5"),
                                           pair("c", "apple pear", "pear 9")};
  // By words: apple -> 1; pear -> 9 and 5 are equal; apple pear -> 1 first, 5 and 9 behind it. By the head: 9, 5, 1.
  const auto kept = measured("rerank", {{"depth", 1}}, model, documents);
  CHECK(kept.items.at("a").at("mrr@10") == 1);
  CHECK(kept.items.at("a").at("bm25_mrr@10") == 1);
  CHECK(kept.items.at("b").at("mrr@10") == 1);  // handed over first, as it stands first
  CHECK(kept.items.at("c").at("mrr@10") == 0);
  CHECK(kept.items.at("c").at("bm25_mrr@10") == 0);
  CHECK(model.pairs == std::set<std::pair<std::string, std::string>>{
                           {"apple apple 1", "apple"}, {"pear 5", "pear"}, {"apple apple 1", "apple pear"}});
  const auto all = measured("rerank", {{"depth", 0}}, model, documents);
  CHECK(all.items.at("a").at("mrr@10") == Approx(1.0 / 3));
  CHECK(all.items.at("b").at("mrr@10") == Approx(1.0 / 2));
  CHECK(all.items.at("b").at("bm25_mrr@10") == Approx(1.0 / 2));
  CHECK(all.items.at("c").at("mrr@10") == 1);
  CHECK(all.items.at("c").at("bm25_mrr@10") == Approx(1.0 / 3));
  CHECK(all.metrics.at("mrr@10") == Approx((1.0 / 3 + 1.0 / 2 + 1) / 3));
  CHECK(all.metrics.at("bm25_mrr@10") == Approx((1 + 1.0 / 2 + 1.0 / 3) / 3));
}

TEST_CASE("rerank: of several classes the last one means relevant") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 3;
  const std::vector<Document> documents = {pair("a", "apple", "apple 2"), pair("b", "none", "apple 9!")};
  CHECK(measured("rerank", {}, model, documents).items.at("a").at("mrr@10") == 1);
  model.columns = 1;
  CHECK(measured("rerank", {}, model, documents).items.at("a").at("mrr@10") == Approx(1.0 / 2));
}

TEST_CASE("rerank: a model without a head ranks by cosine, if that is allowed") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  const std::vector<Document> documents = {pair("a", "10", "12"), pair("b", "20", "15"), pair("c", "30", "29")};
  const auto kept = measured("rerank", {}, model, documents);
  CHECK(kept.items.at("a").at("mrr@10") == 1);
  CHECK(kept.items.at("b").at("mrr@10") == 1);
  CHECK(kept.items.at("a").at("bm25_mrr@10") == Approx(1.0 / 3));  // no common words: all are equal
  CHECK_THROWS_WITH(measured("rerank", {{"by", "pair"}}, model, documents),
                    ContainsSubstring("the model has no head that scores pairs"));
  model.columns = 1;
  CHECK(measured("rerank", {{"by", "cosine"}}, model, documents).metrics == kept.metrics);
  CHECK(measured("rerank", {{"most", 2}}, model, documents).items.size() == 2);
}

TEST_CASE("rerank: document and query are cut like `text` and `text_b` in training") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  model.columns = 1;
  const auto inputs = [&](const std::string& document, const std::string& query) {
    model.pairs.clear();
    measured("rerank", {{"max_time", 11}}, model, {pair("a", query, document)});  // eight tokens of text
    return *model.pairs.begin();
  };
  CHECK((inputs("defghijklm", "abc") == std::pair<std::string, std::string>("defgh", "abc")));
  CHECK((inputs("ghijklm", "abcdef") == std::pair<std::string, std::string>("ghij", "abcd")));
  CHECK((inputs("ij", "abcdefgh") == std::pair<std::string, std::string>("ij", "abcd")));
}

TEST_CASE("rerank: documents carry their queries, those without one are passed over") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  const auto known = [](const std::string& id, const std::string& text, const std::string& query = {}) {
    auto out = text_document(id, text);
    if (!query.empty()) out.fields["query"] = query;
    return out;
  };
  const std::vector<Document> documents = {known("a", "12", "10"), known("b", "13"), known("c", "15", "12.6")};
  for (const char* type : {"rerank", "retrieval"}) {
    const auto kept = measured(type, {}, model, documents);
    CHECK(kept.items.size() == 2);
    CHECK(kept.items.at("a").at("mrr@10") == 1);
    CHECK(kept.items.at("c").at("mrr@10") == Approx(1.0 / 3));
  }
}

}  // namespace ranking_test
