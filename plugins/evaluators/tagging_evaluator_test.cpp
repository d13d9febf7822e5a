#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>

namespace tagging_evaluator_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

/// Rows of (word, tag): the tokens that a handle of ids would see.
struct Row {
  std::vector<std::int64_t> word, tag, ids;
};

class Rows final : public BatchReader {
 public:
  Rows(std::vector<Row> rows, std::size_t per_batch) : rows_(std::move(rows)), per_batch_(per_batch) {}
  bool next(Batch& batch) override {
    if (at_ == rows_.size()) return false;
    const auto n = std::min(per_batch_, rows_.size() - at_);
    std::size_t time = 0;
    for (std::size_t i = at_; i < at_ + n; ++i) time = std::max(time, rows_[i].word.size());
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(n), static_cast<std::int64_t>(time)};
    const auto word = ops::full(shape, -1, at::kLong), tag = ops::full(shape, -1, at::kLong),
               ids = ops::zeros(shape, at::kLong);
    Strings names;
    for (std::size_t i = 0; i < n; ++i) {
      names.push_back("d" + std::to_string(at_ + i));
      const auto& row = rows_[at_ + i];
      for (std::size_t t = 0; t < row.word.size(); ++t) {
        const auto r = static_cast<std::int64_t>(i), c = static_cast<std::int64_t>(t);
        word[r][c] = row.word[t], tag[r][c] = row.tag[t], ids[r][c] = row.ids[t];
      }
    }
    batch = {};
    batch.sample_id = ops::arange(shape[0], at::kLong);
    batch.set("ids", ids), batch.set("word", word), batch.set("tag", tag), batch.set("id", names);
    at_ += n;
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  std::vector<Row> rows_;
  std::size_t per_batch_, at_ = 0;
};

class Context final : public EvaluationContext {
 public:
  Context(std::vector<Row> rows, std::size_t per_batch) : rows_(std::move(rows)), per_batch_(per_batch) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<Rows>(rows_, per_batch_);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override { throw Error("not asked for"); }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  std::vector<Row> rows_;
  std::size_t per_batch_;
  RandomStreams random_{0};
};

/// A token's id is the class that it predicts; 9 gives all classes the same score, 8 no number at all.
class Tags final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  at::Tensor predict(const Batch& batch, std::string_view) override {
    const auto& ids = batch.dense("ids");
    auto out = ops::zeros({ids.size(0), ids.size(1), 3});
    for (std::int64_t i = 0; i < ids.size(0); ++i)
      for (std::int64_t t = 0; t < ids.size(1); ++t) {
        const auto id = ids[i][t].item<std::int64_t>();
        if (id < 3) out[i][t][id] = 2;
        if (id == 8) out[i][t].fill_(std::numeric_limits<float>::quiet_NaN());
      }
    return out;
  }
  const Strings& categories(std::string_view) const override { return names_; }

 private:
  Strings names_ = {"ADJ", "NOUN", "VERB"};
};

Kept tagged(const std::vector<Row>& rows, std::size_t per_batch) {
  const PieceEncoder encoder(1, 64);
  Tags model(encoder);
  Context context(rows, per_batch);
  testing::registry()
      .make<Evaluator>(
          {{"type", "tagging"}, {"data", Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"})}})
      ->evaluate(model, context);
  return context.kept;
}

TEST_CASE("tagging: words count once, by their first token; specials and words without a tag do not") {
  // Gold of the words: NOUN NOUN VERB / NOUN ADJ. The second token of word 0 predicts wrong, which is not asked.
  const std::vector<Row> rows = {{{-1, 0, 0, 1, 2, 3, -1}, {-1, 1, 1, 1, 2, -1, -1}, {0, 1, 0, 2, 2, 0, 0}},
                                 {{0, 1}, {1, 0}, {1, 0}}};
  for (const std::size_t per_batch : {1u, 5u}) {
    const auto kept = tagged(rows, per_batch);
    CHECK(kept.metrics.at("accuracy") == Approx(4.0 / 5));
    CHECK(kept.metrics.at("majority") == Approx(3.0 / 5));
    // NOUN 2 of 3 and 2, VERB 1 of 1 and 2, ADJ 1 of 1 and 1.
    CHECK(kept.metrics.at("macro_f1") == Approx((4.0 / 5 + 2.0 / 3 + 1) / 3));
    CHECK(kept.items.at("d0").at("accuracy") == Approx(2.0 / 3));
    CHECK(kept.items.at("d1").at("accuracy") == 1);
  }
}

TEST_CASE("tagging: equal scores, scores that are no number and tags that training did not have are wrong") {
  CHECK(tagged({{{0, 1}, {1, 1}, {9, 8}}}, 1).metrics.at("accuracy") == 0);
  CHECK(tagged({{{0, 1}, {-2, 1}, {1, 1}}}, 1).metrics.at("accuracy") == 0.5);
  CHECK_THROWS_AS(tagged({{{0, 1}, {-1, -1}, {1, 1}}}, 1), Error);
}

}  // namespace tagging_evaluator_test
