#include "pairs_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace similarity_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// Cosines 1, 1/2, 1/2, 0, -1/2 for the grades 5, 4, 3, 3, 1: ranks 5, 3.5, 3.5, 2, 1 and 5, 4, 2.5, 2.5, 1.
std::vector<Document> graded() {
  return {pair("a", "0", "0", "5"), pair("b", "10", "70", "4"), pair("c", "70", "10", "3"),
          pair("d", "0", "90", "3.0"), pair("e", "30", "150", "1")};
}

TEST_CASE("similarity: Spearman's correlation with average ranks for ties, which the items add up to") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  const auto kept = measured("similarity", {}, model, graded());
  CHECK(kept.metrics.at("spearman") == Approx(8.75 / 9.5));
  CHECK((kept.signatures.at("spearman") == MetricSignature{"correlation", "", "set:test", "1"}));
  REQUIRE(kept.items.size() == 5);
  double sum = 0;
  for (const auto& [id, columns] : kept.items) sum += columns.at("spearman") / 5;
  CHECK(sum == Approx(8.75 / 9.5));
  CHECK(kept.items.at("a").at("spearman") == Approx(2 * 2 / 1.9));  // both variances of ranks are 9.5 / 5
  CHECK(kept.items.at("e").at("cosine") == Approx(-0.5));
  CHECK(kept.items.at("b").at("score") == 4);
}

TEST_CASE("similarity: any rising grades give the same, turned ones the opposite") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  auto documents = graded();
  for (auto& one : documents) one.fields["grade"] = std::to_string(std::exp(std::stod(one.fields["score"])));
  CHECK(measured("similarity", {{"score", "grade"}}, model, documents).metrics.at("spearman") == Approx(8.75 / 9.5));
  for (auto& one : documents) one.fields["grade"] = "-" + one.fields["score"];
  CHECK(measured("similarity", {{"score", "grade"}}, model, documents).metrics.at("spearman") == Approx(-8.75 / 9.5));
}

TEST_CASE("similarity: two documents of a group are a pair, wherever they stand") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  std::vector<Document> firsts, seconds;
  for (const auto& one : graded()) {
    auto first = text_document(one.id + "/1", one.text),
         second = text_document(one.id + "/2", one.fields.at("text_b"));
    first.group = second.group = one.id;
    second.fields["score"] = one.fields.at("score");
    firsts.push_back(first), seconds.push_back(second);
  }
  std::reverse(seconds.begin(), seconds.end());
  firsts.insert(firsts.end(), seconds.begin(), seconds.end());
  const auto kept = measured("similarity", {}, model, firsts);
  CHECK(kept.items == measured("similarity", {}, model, graded()).items);
}

TEST_CASE("similarity: texts of many lengths in many batches keep their places, long ones are cut") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  std::vector<Document> documents;
  for (int i = 0; i < 60; ++i)
    documents.push_back(pair("d" + std::to_string(i),
                             "0" + std::string(static_cast<std::size_t>((i * 37) % 700), ' '), std::to_string(i),
                             std::to_string(1000 - i)));
  CHECK(measured("similarity", {}, model, documents).metrics.at("spearman") == Approx(1));
  CHECK(model.batches > 1);
  model.seen.clear();
  measured("similarity", {{"max_time", 3}}, model, {pair("a", "123", "1", "1"), pair("b", "2", "245", "2")});
  CHECK(model.seen == std::set<std::string>{"1", "2"});
  model.max_time = 4, model.seen.clear();
  measured("similarity", {{"max_time", 9}}, model, {pair("a", "123", "1", "1"), pair("b", "2", "245", "2")});
  CHECK(model.seen == std::set<std::string>{"12", "1", "2", "24"});
  model.seen.clear();
  measured("similarity", {{"most", 2}}, model, graded());
  CHECK(model.seen.size() <= 4);
}

TEST_CASE("similarity: a model that tells nothing apart has no correlation, one without numbers has no number") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  CHECK(measured("similarity", {{"pooling", "first"}}, model, graded()).metrics.at("spearman") == 0);
  auto documents = graded();
  documents[1].text = "nan";
  CHECK(std::isnan(measured("similarity", {}, model, documents).metrics.at("spearman")));
}

TEST_CASE("similarity: data that are no graded pairs are refused") {
  const PieceEncoder encoder(1, kBytes);
  Angles model(encoder);
  const auto fails = [&](const std::vector<Document>& documents, const std::string& why, const Table& settings = {}) {
    CHECK_THROWS_WITH(measured("similarity", settings, model, documents), ContainsSubstring(why));
  };
  fails({pair("a", "1", "2")}, "pair `a` of `set:test` has no field `score`");
  fails({pair("a", "1", "2", "high")}, "field `score` of document `a` of `set:test` is no number: `high`");
  fails({pair("a", "1", "2", "1"), pair("b", "1", "2", "1")}, "have the same `score`");
  fails({text_document("a", "1")}, "group `a` of `set:test` has one document");
  fails({}, "`set:test` has no pairs");
  auto third = text_document("c", "1");
  third.group.clear();
  fails({third}, "document `c` of `set:test` is no part of a pair");
  fails(graded(), "inputs of 2 tokens leave no room for 1 text; raise `max_time`", {{"max_time", 2}});
}

}  // namespace similarity_test
