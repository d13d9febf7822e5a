#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>

namespace entity_f1_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

const Strings kTags = {"B-loc", "B-per", "I-loc", "I-per", "O"};

/// Words of one letter with blanks between them; the tags, one a word.
Document tagged(const std::string& id, const Strings& tags, const std::string& kind = "tag") {
  auto out = text_document(id, {});
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (i) out.text += ' ';
    out.annotations.push_back({kind, out.text.size(), out.text.size() + 1, tags[i]});
    out.text += static_cast<char>('a' + i);
  }
  return out;
}

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
  Context(std::vector<Document> all, const Encoder& encoder, std::size_t per_batch)
      : inner_(all, encoder, per_batch), all_(std::make_shared<Listed>(std::move(all))) {}
  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) override {
    return inner_.read(data, request);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override { return all_; }
  const RandomStreams& random() const override { return inner_.random(); }
  Recorder& recorder() override { return inner_.kept; }
  const Kept& kept() const { return inner_.kept; }

 private:
  ListContext inner_;
  std::shared_ptr<const DataSource> all_;
};

/// Gives the word with the letter `a` the first of these tags, `b` the second one, and blanks a tag of their own.
class Says final : public TestHandle {
 public:
  Says(const Encoder& encoder, Strings tags) : TestHandle(encoder), tags_(std::move(tags)) {}
  bool can(std::string_view what) const override { return what == "predict" && tags; }
  const Strings& categories(std::string_view) const override { return kTags; }
  at::Tensor predict(const Batch& batch, std::string_view) override {
    const auto& begin = batch.dense("begin");
    auto out = ops::zeros({begin.size(0), begin.size(1), classes});
    for (std::int64_t i = 0; i < begin.size(0); ++i)
      for (std::int64_t t = 0; t < begin.size(1); ++t) {
        const auto& text = batch.strings("text")[static_cast<std::size_t>(i)];
        const char c = text[static_cast<std::size_t>(begin[i][t].item<std::int64_t>())];
        const auto tag = c == ' ' ? std::string("B-per") : tags_.at(static_cast<std::size_t>(c - 'a'));
        const auto place = std::find(kTags.begin(), kTags.end(), tag) - kTags.begin();
        out[i][t][std::min<std::int64_t>(place, classes - 1)] = 1;
      }
    return out;
  }
  std::int64_t classes = 5;
  bool tags = true;

 private:
  Strings tags_;
};

const PieceEncoder kLetters(1, 64);

Kept measured(Says& model, std::vector<Document> documents, Table more = {}, std::size_t per_batch = 8) {
  more["type"] = "entity_f1";
  more["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  Context context(std::move(documents), kLetters, per_batch);
  testing::registry().make<Evaluator>(more)->evaluate(model, context);
  return context.kept();
}

TEST_CASE("entity_f1: an entity counts if its ends and its type are right") {
  // Gold: per(0-1), loc(3), loc(4-5), per(7). Given: per(0-1), loc(3-5): too long, per(7) as loc, per(8).
  const Strings gold{"B-per", "I-per", "O", "B-loc", "B-loc", "I-loc", "O", "B-per", "O"},
      given{"B-per", "I-per", "O", "B-loc", "I-loc", "I-loc", "O", "B-loc", "B-per"};
  Says model(kLetters, given);
  const auto kept = measured(model, {tagged("d", gold)});
  CHECK(kept.metrics.at("precision") == Approx(1.0 / 4));
  CHECK(kept.metrics.at("recall") == Approx(1.0 / 4));
  CHECK(kept.metrics.at("f1") == Approx(1.0 / 4));
  CHECK((kept.signatures.at("f1") == MetricSignature{"share", "", "set:test", "1"}));
  Says right(kLetters, gold);
  CHECK(measured(right, {tagged("d", gold)}).metrics.at("f1") == 1);
}

TEST_CASE("entity_f1: over all documents together, in batches of any size") {
  Says model(kLetters, {"B-per", "O", "B-loc"});
  const std::vector<Document> documents = {tagged("d0", {"B-per", "O", "O"}), tagged("d1", {"O", "O", "O"}),
                                           tagged("d2", {"B-per", "B-loc", "B-loc"})};
  for (const std::size_t per_batch : {1u, 2u, 8u}) {
    const auto kept = measured(model, documents, {}, per_batch);  // right 1 + 0 + 2, given 6, wanted 4
    CHECK(kept.metrics.at("precision") == Approx(3.0 / 6));
    CHECK(kept.metrics.at("recall") == Approx(3.0 / 4));
    CHECK(kept.metrics.at("f1") == Approx(6.0 / 10));
    CHECK(kept.items.at("d0").at("f1") == Approx(2.0 / 3));
    CHECK(kept.items.at("d1").at("f1") == 0);
  }
}

TEST_CASE("entity_f1: I- after another type or nothing begins an entity") {
  Says model(kLetters, {"I-per", "I-per", "I-loc", "O"});
  const auto kept = measured(model, {tagged("d", {"B-per", "I-per", "B-loc", "O"})});
  CHECK(kept.metrics.at("f1") == 1);
  Says apart(kLetters, {"B-per", "B-per"});
  CHECK(measured(apart, {tagged("d", {"B-per", "I-per"})}).metrics.at("f1") == 0);
}

TEST_CASE("entity_f1: what the model does not read is missed, and tags of other kinds are not asked") {
  Says model(kLetters, {"B-per", "B-per", "B-per", "B-per"});
  auto document = tagged("d", {"B-per", "B-per", "B-per", "B-per"});
  document.annotations.push_back({"entity", 0, 1, "per"});
  const auto kept = measured(model, {document}, {{"max_time", 5}});  // [begin] a _ b [end]
  CHECK(kept.metrics.at("precision") == 1);
  CHECK(kept.metrics.at("recall") == Approx(2.0 / 4));
  CHECK(measured(model, {tagged("d", {"B-per", "O"}, "ner")}, {{"field", "ner"}}).metrics.at("recall") == 1);
}

TEST_CASE("entity_f1 says what it cannot score") {
  Says model(kLetters, {"O", "O"});
  CHECK_THROWS_WITH(measured(model, {tagged("d", {"O", "NN"})}), ContainsSubstring("`set:test` has no entity"));
  model.classes = 3;
  CHECK_THROWS_WITH(measured(model, {tagged("d", {"B-per"})}), ContainsSubstring("another shape"));
  model.tags = false;
  CHECK_THROWS_WITH(measured(model, {tagged("d", {"B-per"})}), ContainsSubstring("does not tag"));
}

}  // namespace entity_f1_test
