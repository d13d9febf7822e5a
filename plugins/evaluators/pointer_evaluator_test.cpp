#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>

namespace pointer_evaluator_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// A score of a place in the text, in tokens from 0; -1 is the special before the text, and so on beyond both ends.
struct Peak {
  std::int64_t at;
  double value;
};

struct Scene {
  std::string text;
  std::vector<Annotation> marks;
  std::vector<Peak> start, end;  ///< all other places score 0
  std::int64_t second = 1000;    ///< place where a second text begins
};

std::string id_of(std::size_t i) { return "d" + std::to_string(i); }

class Points final : public TestHandle {
 public:
  Points(const Encoder& encoder, const std::vector<Scene>& scenes, double sign)
      : TestHandle(encoder), scenes_(scenes), sign_(sign) {}
  bool can(std::string_view what) const override { return what == "predict"; }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != "answer") throw Error("another field");
    const auto time = batch.dense("ids").size(1);
    auto out = ops::zeros({batch.items(), time, 2}, at::kDouble);
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto& scene = scenes_.at(std::stoul(batch.strings("id")[static_cast<std::size_t>(i)].substr(1)));
      const auto put = [&](const std::vector<Peak>& peaks, std::int64_t end) {
        for (const auto& [at, value] : peaks)
          if (at + 1 < time) out[i][at + 1][end] = sign_ * value;
      };
      put(scene.start, 0), put(scene.end, 1);
    }
    return out;
  }

 private:
  const std::vector<Scene>& scenes_;
  double sign_;
};

class Segments final : public BatchReader {
 public:
  Segments(std::unique_ptr<BatchReader> plain, const std::vector<Scene>& scenes)
      : plain_(std::move(plain)), scenes_(scenes) {}
  bool next(Batch& batch) override {
    if (!plain_->next(batch)) return false;
    auto segment = ops::zeros(batch.dense("ids").sizes(), at::kLong);
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto& scene = scenes_.at(std::stoul(batch.strings("id")[static_cast<std::size_t>(i)].substr(1)));
      for (auto t = scene.second + 1; t < segment.size(1); ++t) segment[i][t] = 1;
    }
    batch.set("segment", segment);
    return true;
  }
  void rewind() override { plain_->rewind(); }

 private:
  std::unique_ptr<BatchReader> plain_;
  const std::vector<Scene>& scenes_;
};

class Context final : public EvaluationContext {
 public:
  Context(const std::vector<Scene>& scenes, const Encoder& encoder, std::size_t per_batch)
      : scenes_(scenes), encoder_(encoder), per_batch_(per_batch) {
    for (std::size_t i = 0; i < scenes.size(); ++i) {
      documents_.push_back(text_document(id_of(i), scenes[i].text));
      documents_.back().annotations = scenes[i].marks;
    }
  }
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<Segments>(std::make_unique<ListReader>(documents_, encoder_, request, per_batch_),
                                      scenes_);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override {
    class All final : public DataSource {
     public:
      explicit All(const std::vector<Document>& documents) : documents_(documents) {}
      void for_each(const std::function<void(const Document&)>& visit) const override {
        for (const auto& one : documents_) visit(one);
      }
      std::string fingerprint() const override { return "scenes"; }

     private:
      const std::vector<Document>& documents_;
    };
    return std::make_shared<All>(documents_);
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  const std::vector<Scene>& scenes_;
  const Encoder& encoder_;
  std::size_t per_batch_;
  std::vector<Document> documents_;
  RandomStreams random_{0};
};

Kept pointed(const std::vector<Scene>& scenes, std::size_t per_batch = 2, Table settings = {}, std::size_t width = 1,
             double sign = 1) {
  const PieceEncoder encoder(width, 64);
  Points model(encoder, scenes, sign);
  Context context(scenes, encoder, per_batch);
  settings["type"] = "pointer";
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  testing::registry().make<Evaluator>(settings)->evaluate(model, context);
  return context.kept;
}

/// exact_match, exact_match_bytes and f1 of one document.
std::vector<double> one(const Scene& scene, Table settings = {}, std::size_t width = 1) {
  const auto kept = pointed({scene}, 1, std::move(settings), width);
  return {kept.metrics.at("exact_match"), kept.metrics.at("exact_match_bytes"), kept.metrics.at("f1")};
}

const std::vector<double> kRight = {1, 1, 1}, kWrong = {0, 0, 0};

std::vector<Annotation> answer(std::uint64_t begin, std::uint64_t end) { return {{"answer", begin, end, "x"}}; }

/// Tokens are bytes. Right; one token too long of two; beside it; no annotation; annotation of another kind.
std::vector<Scene> scenes() {
  return {{"abcdefgh", answer(2, 5), {{2, 3}}, {{4, 3}}},
          {"abcdefgh and on", answer(1, 2), {{1, 3}}, {{2, 3}}},
          {"abcd", answer(0, 2), {{2, 3}}, {{3, 3}}},
          {"abcdefgh", {}, {{2, 3}}, {{4, 3}}},
          {"abcdefgh", {{"name", 2, 5, "x"}}, {{2, 3}}, {{4, 3}}}};
}

TEST_CASE("pointer: exact matches and overlap of known spans, over documents that have one") {
  for (const std::size_t per_batch : {1u, 2u, 100u}) {
    const auto kept = pointed(scenes(), per_batch);
    CHECK(kept.metrics.at("exact_match") == Approx(1.0 / 3));
    CHECK(kept.metrics.at("exact_match_bytes") == Approx(1.0 / 3));
    CHECK(kept.metrics.at("f1") == Approx((1 + 2.0 / 3 + 0) / 3));
    REQUIRE(kept.items.size() == 3);
    CHECK(kept.items.at("d0").at("exact_match") == 1);
    CHECK(kept.items.at("d1").at("exact_match") == 0);
    CHECK(kept.items.at("d1").at("f1") == Approx(2.0 / 3));
    CHECK(kept.items.at("d2").at("exact_match_bytes") == 0);
  }
  const auto kept = pointed(scenes());
  CHECK(kept.signatures.at("exact_match_bytes") == MetricSignature{"share", {}, "set:test", "1"});
  CHECK_FALSE(kept.signatures.at("f1").tokenizer.empty());  // tokens of another kind give another number
  CHECK(kept.signatures.at("exact_match").tokenizer == kept.signatures.at("f1").tokenizer);
}

TEST_CASE("pointer: scores with the wrong sign, and starts taken for ends, are seen") {
  CHECK(pointed({scenes()[0]}, 1, {}, 1, -1).metrics.at("exact_match") == 0);
  CHECK(one({"abcdefgh", answer(2, 5), {{4, 3}}, {{2, 3}}}) != kRight);
}

TEST_CASE("pointer: the best span ends where it starts or later and has `most` tokens at most") {
  // An end before the start would have 9; what is left is the start with the best end behind it.
  CHECK(one({"abcdefgh", answer(4, 7), {{4, 5}}, {{1, 4}, {6, 2}}}) == kRight);
  const Scene far{"abcdefghijklmnopqrstuvwxyab", answer(3, 5), {{3, 5}}, {{4, 2}, {18, 3}, {19, 4}}};
  CHECK(one(far)[0] == 0);
  CHECK(one({far.text, answer(3, 19), far.start, far.end}) == kRight);  // 16 tokens; those to 19 would be 17
  CHECK(one(far, {{"most", 15}}) == kRight);
  CHECK(one({far.text, answer(3, 20), far.start, far.end}, {{"most", 17}}) == kRight);
  CHECK(one({"abc", answer(1, 2), {{1, 2}}, {{1, 2}, {2, 2.5}}}, {{"most", 1}}) == kRight);
}

TEST_CASE("pointer: padding, specials and a second text are never chosen") {
  // Place -1 and 8 are specials, those behind are padding once a longer text shares the batch.
  const Scene tempted{"abcdefgh", answer(2, 5), {{-1, 99}, {2, 3}, {8, 99}, {9, 99}}, {{4, 3}, {8, 99}, {10, 99}}};
  const auto kept = pointed({tempted, {"abcdefghijklmnopqr", {}, {}, {}}}, 2);
  CHECK(kept.metrics.at("exact_match") == 1);
  CHECK(one({"abcdefgh", answer(2, 5), {{2, 3}, {6, 99}}, {{4, 3}, {7, 99}}, 6}) == kRight);
}

TEST_CASE("pointer: equal scores and scores that are no number count against the model") {
  CHECK(one({"abcdefgh", answer(2, 3), {{2, 3}, {5, 3}}, {{2, 3}, {5, 3}}}) == kWrong);
  CHECK(one({"abcdefgh", answer(2, 3), {}, {}}) == kWrong);
  CHECK(one({"abcdefgh", answer(2, 3), {{2, 3}, {5, kNone}}, {{2, 3}}}) == kWrong);
  const Table single = {{"most", 1}};
  CHECK(one({"abcdefgh", answer(2, 3), {{2, 3 + 1e-7}, {5, 3}}, {{2, 3}, {5, 3}}}, single) == kWrong);
  CHECK(one({"abcdefgh", answer(2, 3), {{2, 3.001}, {5, 3}}, {{2, 3}, {5, 3}}}, single) == kRight);
}

TEST_CASE("pointer: bytes say more than tokens, and white space at the ends says nothing") {
  // Tokens of two bytes: ab cd ef gh. The annotation has half of the first.
  CHECK(one({"abcdefgh", answer(3, 6), {{1, 3}}, {{2, 3}}}, {}, 2) == std::vector<double>{1, 0, 1});
  // "a", " b" and "c ": the token takes the blank before its word along.
  CHECK(one({"xa bc yz", answer(3, 5), {{1, 3}}, {{2, 3}}}, {}, 2) == std::vector<double>{1, 1, 1});
  CHECK(one({"x  yz", answer(1, 5), {{3, 3}}, {{4, 3}}}) == std::vector<double>{0, 1, 4.0 / 6});
}

TEST_CASE("pointer: the first annotation with bytes is meant; one behind what is read cannot be found") {
  CHECK(
      one({"abcdefgh", {{"answer", 6, 7, "x"}, {"answer", 1, 1, "x"}, {"answer", 2, 4, "x"}}, {{2, 3}}, {{3, 3}}}) ==
      kRight);
  const Scene late{"abcdefgh", answer(5, 7), {{5, 3}}, {{6, 3}}};
  CHECK(one(late) == kRight);
  CHECK(one(late, {{"max_time", 6}}) == kWrong);  // four tokens of text
}

TEST_CASE("pointer: models that do not point and data without annotations are refused") {
  CHECK_THROWS_WITH(pointed({scenes()[3]}), ContainsSubstring("`set:test` has no annotation of kind `answer`"));
  class Other final : public TestHandle {
   public:
    using TestHandle::TestHandle;
    bool can(std::string_view) const override { return able; }
    at::Tensor predict(const Batch& batch, std::string_view) override { return ops::zeros({batch.items(), 3}); }
    bool able = false;
  };
  const PieceEncoder encoder(1, 64);
  Other model(encoder);
  const auto run = [&] {
    const auto all = scenes();
    Context context(all, encoder, 2);
    testing::registry()
        .make<Evaluator>(
            {{"type", "pointer"}, {"data", Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"})}})
        ->evaluate(model, context);
  };
  CHECK_THROWS_WITH(run(), ContainsSubstring("the model does not point at text"));
  model.able = true;
  CHECK_THROWS_WITH(run(), ContainsSubstring("another shape than [items, time, 2]"));
}

}  // namespace pointer_evaluator_test
