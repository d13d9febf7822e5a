#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

namespace new_tokens_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

// Ids of single bytes: 5 + byte % 3, so 'a' (97) is 6, 'b' 7, 'c' 5; the old vocabulary ends before 'b'.
const PieceEncoder kEncoder(1, 8);

/// The same everywhere: p(7) = 0.5, p(6) = 0.3, p(5) = 0.1, and 0.02 of each special; or all the same.
class Fixed final : public TestHandle {
 public:
  explicit Fixed(bool equal) : TestHandle(kEncoder), equal_(equal) {}
  ForwardOutput encode(const Batch&, const ForwardRequest& want) override {
    return {.picked = xp::ops::zeros({want.at.size(0), 2})};
  }
  at::Tensor logits(const at::Tensor& rows) override {
    auto p = xp::ops::full({rows.size(0), kEncoder.size()}, 0.02);
    if (equal_) return p;
    for (const auto& [id, value] : {std::pair(5, 0.1), {6, 0.3}, {7, 0.5}}) p.select(1, id).fill_(value);
    return p.log();
  }

 private:
  bool equal_;
};

class OldContext final : public EvaluationContext {
 public:
  OldContext(std::vector<Document> documents, std::int64_t size, std::size_t per_batch)
      : inner_(std::move(documents), kEncoder, per_batch), size_(size) {}
  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) override {
    return inner_.read(data, request);
  }
  std::shared_ptr<const DataSource> documents(const Reference& data) override { return inner_.documents(data); }
  std::shared_ptr<const Encoder> tokenizer(const Reference&) override {
    return std::make_shared<PieceEncoder>(1, size_);
  }
  const RandomStreams& random() const override { return inner_.random(); }
  Recorder& recorder() override { return inner_.recorder(); }
  const Kept& kept() const { return inner_.kept; }

 private:
  ListContext inner_;
  std::int64_t size_;
};

Kept measured(const std::vector<std::string>& texts, std::int64_t old_size, std::size_t per_batch = 8,
              std::int64_t max_time = 0, bool equal = false) {
  std::vector<Document> documents;
  for (const auto& text : texts) documents.push_back(text_document("d" + std::to_string(documents.size()), text));
  const auto evaluator = testing::registry().make<Evaluator>(
      {{"type", "new_tokens"},
       {"max_time", max_time},
       {"data", Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"})},
       {"old", Value(Reference{.text = "before", .kind = "tokenizer"})}});
  Fixed subject(equal);
  OldContext context(std::move(documents), old_size, per_batch);
  evaluator->evaluate(subject, context);
  return context.kept();
}

TEST_CASE("new_tokens: ranks and masses are those of the model") {
  const auto kept = measured({"abbc"}, 7);  // 7, 'b', is new; specials around the text are not asked for
  CHECK(kept.metrics.at("text") == Approx(0.5));
  CHECK(kept.metrics.at("rank") == Approx(1));
  CHECK(kept.metrics.at("top1") == Approx(1));
  CHECK(kept.metrics.at("chosen") == Approx(1));
  CHECK(kept.metrics.at("mass") == Approx(0.5).epsilon(1e-5));
  CHECK(kept.metrics.at("leak") == Approx(0.5).epsilon(1e-5));
  CHECK(kept.signatures.at("rank").unit == "rank");
  CHECK(kept.items.at("d0").at("leak") == Approx(0.5).epsilon(1e-5));
}

TEST_CASE("new_tokens: every token that has a letter is new against specials alone") {
  const auto kept = measured({"ab", "c"}, 5 + 1);  // the old one has 5, 'c'
  CHECK(kept.metrics.at("rank") == Approx(1.5));   // 'a' is second, 'b' first
  CHECK(kept.metrics.at("top1") == Approx(0.5));
  CHECK(kept.metrics.at("top10") == Approx(1));
  CHECK(kept.metrics.at("mass") == Approx(0.8).epsilon(1e-5));
  CHECK(kept.metrics.at("text") == Approx(2.0 / 3));
  CHECK_FALSE(kept.items.at("d1").contains("rank"));
}

TEST_CASE("new_tokens: equally likely tokens count half") {
  const auto kept = measured({"b"}, 7, 8, 0, true);
  CHECK(kept.metrics.at("rank") == Approx(1 + 7 / 2.0));
  CHECK(kept.metrics.at("top1") == Approx(0));
}

TEST_CASE("new_tokens: without new tokens in the text there is no rank") {
  const auto kept = measured({"z"}, 5);  // the unknown token is a special
  CHECK(kept.metrics.at("text") == Approx(0));
  CHECK_FALSE(kept.metrics.contains("rank"));
  CHECK(kept.metrics.at("leak") == Approx(0.9).epsilon(1e-5));
}

TEST_CASE("new_tokens: the size of a batch changes nothing, windows predict what they hold") {
  const std::vector<std::string> texts = {"abcabc", "bb", "cacab", "b"};
  const auto one = measured(texts, 7, 1, 5), many = measured(texts, 7, 100, 5);
  REQUIRE(one.metrics.size() == 7);
  for (const auto& [name, value] : one.metrics) CHECK(many.metrics.at(name) == Approx(value).epsilon(1e-9));
}

TEST_CASE("new_tokens: of a vocabulary without new tokens nothing is recorded") {
  CHECK(measured({"abc"}, 8).metrics.empty());
}

TEST_CASE("new_tokens: a text without tokens is refused") { CHECK_THROWS_AS(measured({""}, 7), Error); }

}  // namespace new_tokens_test
