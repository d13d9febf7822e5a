#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>

namespace bleu_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// Appends the second text of each document, and gives the documents too.
class TaskContext final : public EvaluationContext {
 public:
  TaskContext(std::vector<Document> documents, const Encoder& encoder, std::size_t per_batch)
      : documents_(std::move(documents)), encoder_(encoder), per_batch_(per_batch) {}

  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<Reader>(documents_, encoder_, request, per_batch_);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override {
    class Source final : public DataSource {
     public:
      explicit Source(std::vector<Document> documents) : documents_(std::move(documents)) {}
      void for_each(const std::function<void(const Document&)>& visit) const override {
        for (const auto& one : documents_) visit(one);
      }
      std::string fingerprint() const override { return "given"; }

     private:
      std::vector<Document> documents_;
    };
    return std::make_shared<Source>(documents_);
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  class Reader final : public BatchReader {
   public:
    Reader(const std::vector<Document>& documents, const Encoder& encoder, const ReadRequest& request, std::size_t n)
        : plain_(documents, encoder, request, n), encoder_(encoder) {}
    bool next(Batch& batch) override {
      if (!plain_.next(batch)) return false;
      const auto mask = batch.dense("input.mask").to(at::kLong);
      std::vector<at::Tensor> ids, segment, masks;
      const std::int64_t room = 100;
      for (std::int64_t i = 0; i < batch.items(); ++i) {
        const auto n = mask[i].sum().item<std::int64_t>();
        std::vector<std::int64_t> row(static_cast<std::size_t>(room), kPad), second(row.size(), 0);
        for (std::int64_t t = 0; t < n; ++t)
          row[static_cast<std::size_t>(t)] = batch.dense("ids")[i][t].item<std::int64_t>();
        auto at = static_cast<std::size_t>(n);
        for (const auto& token : encoder_.encode(batch.strings("text_b").at(static_cast<std::size_t>(i))))
          row.at(at) = token.id, second.at(at++) = 1;
        row.at(at) = kEnd, second.at(at++) = 1;
        ids.push_back(xp::ops::tensor(row)), segment.push_back(xp::ops::tensor(second));
        masks.push_back(xp::ops::arange(room).lt(static_cast<std::int64_t>(at)));
      }
      batch.set("ids", xp::ops::stack(ids)), batch.set("segment", xp::ops::stack(segment));
      batch.set("input.mask", xp::ops::stack(masks));
      return true;
    }
    void rewind() override { plain_.rewind(); }

   private:
    ListReader plain_;
    const Encoder& encoder_;
  };

  std::vector<Document> documents_;
  const Encoder& encoder_;
  std::size_t per_batch_;
  RandomStreams random_{0};
};

/// Answers the sources that it knows; sees nothing but the prompt.
class Answers final : public TestHandle {
 public:
  Answers(const Encoder& encoder, std::map<std::string, std::string> known)
      : TestHandle(encoder), known_(std::move(known)) {}
  bool can(std::string_view what) const override { return what == "generate"; }
  Strings generate(const Batch& batch, const Table& sampling, RandomStream) override {
    CHECK(sampling.at("max_tokens") == Value(20));
    CHECK(sampling.at("temperature") == Value(0.5));
    Strings out;
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      std::string source;
      const auto n = batch.dense("input.mask")[i].sum().item<std::int64_t>();
      for (std::int64_t t = 0; t < batch.dense("ids").size(1); ++t) {
        const auto id = batch.dense("ids")[i][t].item<std::int64_t>();
        if (t >= n && id != kPad) throw Error("the model sees more than the prompt");
        if (t + 1 == n && id != kEnd) throw Error("the prompt does not end with its source");
        if (id >= kFirst) source += static_cast<char>(id - kFirst);
      }
      out.push_back(known_.at(source));
      ++asked;
    }
    return out;
  }
  int asked = 0;

 private:
  std::map<std::string, std::string> known_;
};

Document task(const std::string& id, const std::string& source, const std::string& target) {
  auto out = text_document(id, source);
  out.fields["text_b"] = target;
  return out;
}

Kept scored(Handle& model, const std::vector<Document>& documents, std::size_t per_batch = 2) {
  TaskContext context(documents, *model.tokenizer(), per_batch);
  const Table settings = {{"type", "bleu"},
                          {"data", Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"})},
                          {"max_tokens", 20},
                          {"temperature", 0.5}};
  testing::registry().make<Evaluator>(settings)->evaluate(model, context);
  return context.kept;
}

TEST_CASE("bleu: counts over all texts, by hand") {
  const PieceEncoder encoder(1, 256 + kFirst);
  // "the cat sat on the mat" against "the cat sat on a mat": 5 of 6, 3 of 5, 2 of 4, 1 of 3. "a b" against "a b c d
  // e": 2 of 2, 1 of 1, none of none.
  Answers model(encoder, {{"x", "the cat sat on the mat"}, {"long", "a b"}});
  const std::vector<Document> documents = {task("one", "x", "the cat sat on a mat"),
                                           task("two", "long", "a b c d e")};
  const double precision = std::pow(7.0 / 8 * 4.0 / 6 * 2.0 / 4 * 1.0 / 3, 0.25), penalty = std::exp(1 - 11.0 / 8);
  for (const std::size_t per_batch : {1u, 2u}) {
    const auto kept = scored(model, documents, per_batch);
    CHECK(kept.metrics.at("bleu") == Approx(100 * precision * penalty));
    CHECK(kept.metrics.at("normalised") == Approx(precision * penalty));
    CHECK(kept.metrics.at("brevity_penalty") == Approx(penalty));
    CHECK(kept.items.at("one").at("matches_2") == 3);
    CHECK(kept.items.at("one").at("total_4") == 3);
    CHECK(kept.items.at("one").at("bleu") == Approx(100 * std::pow(5.0 / 6 * 4.0 / 6 * 3.0 / 5 * 2.0 / 4, 0.25)));
    CHECK(kept.items.at("two").at("reference_length") == 5);
    CHECK(kept.signatures.at("bleu").unit == "BLEU");
  }
}

TEST_CASE("bleu: a right text has all, a repeated word counts as often as the reference has it") {
  const PieceEncoder encoder(1, 256 + kFirst);
  Answers right(encoder, {{"x", "Is it, perhaps, so?"}}), repeats(encoder, {{"x", "the the the the the the the"}}),
      silent(encoder, {{"x", ""}}), other(encoder, {{"x", "is It perhaps so"}});
  const std::vector<Document> documents = {task("one", "x", "Is it, perhaps, so?")};
  CHECK(scored(right, documents).metrics.at("bleu") == Approx(100));
  CHECK(scored(other, documents).metrics.at("bleu") == 0);
  CHECK(scored(silent, documents).metrics.at("bleu") == 0);
  CHECK(scored(silent, documents).metrics.at("brevity_penalty") == 0);
  const auto kept = scored(repeats, {task("one", "x", "The cat is on the mat"), task("two", "x", "the the end")});
  CHECK(kept.items.at("one").at("matches_1") == 2);  // of seven
  CHECK(kept.items.at("one").at("matches_2") == 1);
  CHECK(kept.metrics.at("bleu") == 0);
}

TEST_CASE("bleu: documents of one source are references of one text; the nearest length counts") {
  const PieceEncoder encoder(1, 256 + kFirst);
  Answers model(encoder, {{"x", "a b c d"}, {"y", "e f g h i"}});
  const auto kept = scored(
      model,
      {task("1", "x", "a b c z z z"), task("2", "y", "e f g h i"), task("3", "x", "z b c d"), task("4", "x", "z z")},
      3);
  CHECK(model.asked == 2);
  CHECK(kept.items.size() == 2);
  CHECK(kept.items.at("1").at("matches_1") == 4);
  CHECK(kept.items.at("1").at("matches_3") == 2);
  CHECK(kept.items.at("1").at("matches_4") == 0);
  CHECK(kept.items.at("1").at("reference_length") == 4);
  CHECK(kept.metrics.at("brevity_penalty") == 1);
  CHECK(kept.metrics.at("bleu") == Approx(100 * std::pow(9.0 / 9 * 7.0 / 7 * 5.0 / 5 * 2.0 / 3, 0.25)));
}

TEST_CASE("bleu: what it cannot measure is refused") {
  const PieceEncoder encoder(1, 256 + kFirst);
  Answers model(encoder, {{"x", "a"}});
  CHECK_THROWS_WITH(scored(model, {text_document("bare", "x")}),
                    ContainsSubstring("document `bare` of `set:test` has no target in the field `text_b`"));
  CHECK_THROWS_WITH(scored(model, {}), ContainsSubstring("`set:test` has no documents"));
  class Mute final : public TestHandle {
   public:
    using TestHandle::TestHandle;
    bool can(std::string_view what) const override { return what != "generate"; }
  } mute(encoder);
  CHECK_THROWS_WITH(scored(mute, {task("a", "x", "a")}), ContainsSubstring("BLEU needs a model that generates text"));
}

}  // namespace bleu_test
