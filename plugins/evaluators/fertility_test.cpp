#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "testing/toy_encoder.h"

namespace fertility_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

class Listed final : public DataSource {
 public:
  explicit Listed(std::vector<Document> all) : all_(std::move(all)) {}
  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& one : all_) visit(one);
  }
  std::string fingerprint() const override { return "listed"; }

 private:
  std::vector<Document> all_;
};

class Context final : public EvaluationContext {
 public:
  explicit Context(std::vector<Document> all) : all_(std::make_shared<Listed>(std::move(all))) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest&) override { throw Error("not asked for"); }
  std::shared_ptr<const DataSource> documents(const Reference& data) override {
    if (data.text != "set:test") throw Error("another split was asked for");
    return all_;
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  std::shared_ptr<const DataSource> all_;
  RandomStreams random_{0};
};

Kept measured(const Encoder& encoder, std::vector<Document> documents, Table settings = {}) {
  settings["type"] = "fertility";
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  Context context(std::move(documents));
  TestHandle handle(encoder);
  testing::registry().make<Evaluator>(settings)->evaluate(handle, context);
  return context.kept;
}

const testing::ToyEncoder kToy({"sun", "##flower", "##s", "moon", ","});

TEST_CASE("fertility: tokens per word and per byte, whole and unknown words") {
  // sun ##flower ##s | moon , | zzz ("moon," is one unit of the toy, two words of Unicode: the comma is none)
  const auto kept = measured(kToy, {text_document("a", "sunflowers moon zzz"), text_document("b", "moon moon")});
  CHECK(kept.metrics.at("tokens_per_word") == Approx((3 + 1 + 1 + 2) / 5.0));
  CHECK(kept.metrics.at("tokens_per_byte") == Approx(7.0 / (19 + 9)));
  CHECK(kept.metrics.at("whole") == Approx(3.0 / 5));  // an unknown word is one token, but it is not kept
  CHECK(kept.metrics.at("unknown") == Approx(1.0 / 5));
  CHECK(kept.items.at("a").at("tokens_per_word") == Approx(5.0 / 3));
  CHECK(kept.items.at("a").at("whole") == Approx(1.0 / 3));
  CHECK(kept.items.at("b").at("whole") == 1);
  CHECK((kept.signatures.at("tokens_per_word") == MetricSignature{"tokens/word", "", "set:test", "1, word"}));
  CHECK(measured(kToy, {text_document("a", "sunflowers"), text_document("b", "moon")}, {{"most", 1}})
            .metrics.at("tokens_per_word") == 3);
}

TEST_CASE("fertility: punctuation is no word") {
  const PieceEncoder bytes(1, 64);
  const auto kept = measured(bytes, {text_document("a", "ab, (cde)!")});
  CHECK(kept.metrics.at("tokens_per_word") == Approx(5.0 / 2));
  CHECK(kept.metrics.at("tokens_per_byte") == 1);
  CHECK(kept.metrics.at("whole") == 0);
}

TEST_CASE("fertility: a token over more than a word keeps none whole, white space aside") {
  const PieceEncoder pieces(4, 64);
  const auto across = measured(pieces, {text_document("a", "ab c")});
  CHECK(across.metrics.at("tokens_per_word") == 1);
  CHECK(across.metrics.at("whole") == 0);
  const auto blanks = measured(pieces, {text_document("a", " abc def")});
  CHECK(blanks.metrics.at("whole") == 1);
}

TEST_CASE("fertility: of annotated spans") {
  auto document = text_document("a", "moon sunflower moon zzz");
  document.annotations = {{"entity", 0, 4, "place"}, {"entity", 5, 19, "person"}, {"entity", 20, 23, "O"},
                          {"paragraph", 0, 23, {}},  {"entity", 4, 4, "empty"},   {"entity", 5, 14, "B-plant"}};
  const auto kept = measured(kToy, {document}, {{"of", "entity"}, {"except", List{Value("O"), Value("B-*")}}});
  CHECK(kept.metrics.at("tokens_per_word") == Approx((1 + 3) / 2.0));
  CHECK(kept.metrics.at("whole") == Approx(1.0 / 2));
  CHECK(kept.metrics.at("unknown") == 0);
  CHECK(kept.signatures.at("whole").version == "1, entity except O B-*");
  CHECK(measured(kToy, {document}, {{"of", "entity"}}).metrics.at("tokens_per_word") ==
        Approx((1 + 3 + 1 + 2) / 4.0));
}

TEST_CASE("fertility says what cannot be counted") {
  CHECK_THROWS_WITH(measured(kToy, {text_document("a", " ... ")}), ContainsSubstring("`set:test` has no word"));
  CHECK_THROWS_WITH(measured(kToy, {text_document("a", "moon")}, {{"of", "entity"}}),
                    ContainsSubstring("no annotation of kind entity"));
}

}  // namespace fertility_test
