#include "pairs_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace rerank_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

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

}  // namespace rerank_test
