#include "base/digest.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>

namespace target_loss_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// Marks the last tokens of each text as its target: as many as the field `text_b` has pieces, and `end`.
class MarkingReader final : public BatchReader {
 public:
  MarkingReader(std::unique_ptr<BatchReader> plain, const Encoder& encoder, std::string column)
      : plain_(std::move(plain)), encoder_(encoder), column_(std::move(column)) {}
  bool next(Batch& batch) override {
    if (!plain_->next(batch)) return false;
    const Strings targets = batch.strings("text_b");
    auto marks = xp::ops::zeros(batch.dense("ids").sizes(), at::kLong);
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto n = std::ssize(encoder_.encode(targets[static_cast<std::size_t>(i)])) + 1;
      const auto time = batch.dense("input.mask")[i].sum().item<std::int64_t>();
      const auto source = std::ssize(encoder_.encode(batch.strings("text")[static_cast<std::size_t>(i)])) + 2 - n;
      if (source < time) marks[i].narrow(0, source, time - source).fill_(1);
    }
    batch.set(column_, marks);
    return true;
  }
  void rewind() override { plain_->rewind(); }

 private:
  std::unique_ptr<BatchReader> plain_;
  const Encoder& encoder_;
  std::string column_;
};

class MarkingContext final : public EvaluationContext {
 public:
  MarkingContext(std::vector<Document> documents, const Encoder& encoder, std::size_t per_batch, std::string column)
      : plain_(std::move(documents), encoder, per_batch), encoder_(encoder), column_(std::move(column)) {}
  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<MarkingReader>(plain_.read(data, request), encoder_, column_);
  }
  std::shared_ptr<const DataSource> documents(const Reference& data) override { return plain_.documents(data); }
  const RandomStreams& random() const override { return plain_.random(); }
  Recorder& recorder() override { return plain_.kept; }
  const Kept& kept() const { return plain_.kept; }

 private:
  ListContext plain_;
  const Encoder& encoder_;
  std::string column_;
};

/// A target token costs as many nats as there are tokens before it in the item, divided by ten; others a million.
class Counting final : public TestHandle {
 public:
  explicit Counting(const Encoder& encoder, bool heeds = true) : TestHandle(encoder), heeds_(heeds) {}
  bool can(std::string_view what) const override { return what == "score"; }
  std::vector<Score> score(const Batch& batch) override {
    std::vector<Score> out;
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto marks = batch.dense("target")[i], mask = batch.dense("input.mask")[i];
      Score one;
      for (std::int64_t t = 1; t < mask.size(0); ++t) {
        if (!mask[t].item<bool>()) continue;
        const bool scored = marks[t].item<std::int64_t>() != 0;
        if (scored) one.nats += static_cast<double>(t) / 10;
        if (scored || !heeds_) ++one.tokens;
      }
      out.push_back(one);
    }
    return out;
  }

 private:
  bool heeds_;
};

Document task(const std::string& id, const std::string& source, const std::string& target) {
  auto out = text_document(id, source + target);
  out.fields["text_b"] = target;
  return out;
}

Kept scored(Table settings, Handle& subject, const std::vector<Document>& documents, std::size_t per_batch,
            const std::string& column = "segment") {
  settings["type"] = "target_loss";
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  MarkingContext context(documents, *subject.tokenizer(), per_batch, column);
  testing::registry().make<Evaluator>(settings)->evaluate(subject, context);
  return context.kept();
}

TEST_CASE("target_loss: only what the target marks counts, by tokens and by bytes") {
  const PieceEncoder encoder(2, 64);
  Counting model(encoder);
  // a: begin abcd xy xy x end, the target at 3 to 6; b: begin ab xy end, the target at 2 and 3.
  const std::vector<Document> documents = {task("a", "abcd", "xyxyx"), task("b", "ab", "xy")};
  const double a = 0.3 + 0.4 + 0.5 + 0.6, b = 0.2 + 0.3;
  for (const std::size_t per_batch : {1u, 2u}) {
    const auto kept = scored({}, model, documents, per_batch);
    CHECK(kept.metrics.at("nats_per_token") == Approx((a + b) / 6));
    CHECK(kept.metrics.at("nats_per_byte") == Approx((a + b) / 7));
    CHECK(kept.metrics.at("normalised") == Approx(1 - (a + b) / 7 / std::log(256.0)));
    CHECK(kept.metrics.at("unknown") == 0);
    CHECK(kept.items.at("a").at("nats_per_byte") == Approx(a / 5));
    CHECK(kept.items.at("a").at("nats_per_token") == Approx(a / 4));
    CHECK(kept.items.at("b").at("nats_per_byte") == Approx(b / 2));
    CHECK(kept.items.at("b").at("normalised") == Approx(1 - b / 2 / std::log(256.0)));
    CHECK((kept.signatures.at("nats_per_byte") == MetricSignature{"nats/byte", "", "set:test", "1"}));
    CHECK(kept.signatures.at("nats_per_token").tokenizer == sha256(encoder.json()));
    CHECK(scored({}, model, documents, per_batch, "target").metrics == kept.metrics);
    const auto hidden = scored({}, model, {task("a", "zz", "zzxyz"), task("b", "zz", "xyxy")}, per_batch);
    CHECK(hidden.metrics.at("unknown") == Approx(2.0 / 7));  // of zz xy z end and xy xy end
    CHECK(hidden.items.at("a").at("unknown") == Approx(2.0 / 4));
    CHECK(scored({}, model, {task("c", "", "xy")}, per_batch).metrics.at("nats_per_byte") == Approx(0.3 / 2));
  }
}

TEST_CASE("target_loss: a model as good as the reference is at zero, one that knows everything at one") {
  const PieceEncoder encoder(1, 64);
  Counting model(encoder);
  const std::vector<Document> documents = {task("a", "ab", "xy")};  // 0.3 + 0.4 + 0.5 nats in 2 bytes
  const auto kept = scored({{"reference", 0.6}}, model, documents, 1);
  CHECK(std::abs(kept.metrics.at("normalised")) < 1e-12);
  CHECK(kept.signatures.at("normalised").version == "1, 0.6 nats/byte");
  CHECK(scored({{"reference", 1.2}}, model, documents, 1).metrics.at("normalised") == Approx(0.5));
}

TEST_CASE("target_loss: of a target that is cut the read part counts, one that is cut away does not") {
  const PieceEncoder encoder(1, 64);
  Counting model(encoder);
  const std::vector<Document> documents = {task("a", "ab", "xyz"), task("b", "abcdef", "x")};
  const auto kept = scored({{"max_time", 5}}, model, documents, 2);  // begin a b x end; begin a b c end
  CHECK(kept.items.size() == 1);
  CHECK(kept.metrics.at("nats_per_byte") == Approx(0.3 + 0.4));
  CHECK_THROWS_WITH(scored({{"max_time", 4}}, model, documents, 2),
                    ContainsSubstring("no target of `set:test` lies within the tokens"));
}

TEST_CASE("target_loss: what it cannot measure is refused") {
  const PieceEncoder encoder(1, 64);
  Counting deaf(encoder, false), model(encoder);
  CHECK_THROWS_WITH(scored({}, deaf, {task("a", "ab", "xy")}, 1),
                    ContainsSubstring("scores 5 tokens of `a`, its target has 3"));
  // The framework's fixture gives texts without marks.
  CHECK_THROWS_WITH(evaluated({{"type", "target_loss"}}, model, {task("a", "ab", "xy")}, 1),
                    ContainsSubstring("`set:test` marks no tokens as the target"));
  class Reader final : public TestHandle {
   public:
    using TestHandle::TestHandle;
    bool can(std::string_view what) const override { return what == "encode"; }
  } reader(encoder);
  CHECK_THROWS_WITH(scored({}, reader, {task("a", "ab", "xy")}, 1),
                    ContainsSubstring("needs a model that scores text"));
}

}  // namespace target_loss_test
