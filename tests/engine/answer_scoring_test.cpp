// Losses of answers under models with an encoder, against the library that made them.
#include "api/format.h"
#include "api/ops.h"
#include "engine/scoring.h"
#include "engine/session.h"
#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

/// Texts and behind each its answer, as a batch of pairs holds them.
struct AnsweredTexts {
  at::Tensor ids, mask, scored;

  AnsweredTexts(const at::Tensor& source, const at::Tensor& source_mask, const at::Tensor& labels) {
    const auto items = source.size(0), time = source.size(1) + labels.size(1);
    ids = ops::zeros({items, time}, at::kLong);
    mask = ops::full({items, time}, false, at::kBool), scored = mask.clone();
    for (std::int64_t i = 0; i < items; ++i) {
      std::int64_t at = 0;
      for (std::int64_t t = 0; t < source.size(1); ++t)
        if (source_mask[i][t].item<bool>()) put(i, at++, source[i][t], false);
      for (std::int64_t t = 0; t < labels.size(1); ++t)
        if (labels[i][t].item<std::int64_t>() >= 0) put(i, at++, labels[i][t], true);
    }
  }

 private:
  void put(std::int64_t item, std::int64_t time, const at::Tensor& id, bool target) {
    ids[item][time] = id, mask[item][time] = true, scored[item][time] = target;
  }
};

}  // namespace

TEST_CASE("answers have the losses that T5 has in the library that made it") {
  const at::NoGradGuard quiet;
  const std::string folder = std::string("tests/golden/models/") + GENERATE("t5", "t5_gated");
  CAPTURE(folder);
  const auto read = testing::registry().make<Format>({{"type", "hugging_face"}})->read(folder);
  const TensorFiles expected(folder + "/expected.safetensors");
  const auto get = [&](const char* name) { return tensor_of(expected.at(name)); };
  Session session(testing::registry(), RandomStreams(0, "test"), {}, at::kFloat);
  session.add_own_model("primary", {}, &*read.checkpoint, {});
  session.refresh();
  const auto& built = session.model("primary");
  const auto labels = get("labels"), nats = get("nats");
  const AnsweredTexts pairs(get("ids"), get("mask").to(at::kBool), labels);
  const auto scores = score_answers(*built.model, built.active, {}, pairs.ids, pairs.mask, pairs.scored, 0);
  REQUIRE(scores.size() == 2);
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto& score = scores[static_cast<std::size_t>(i)];
    CHECK(score.tokens == labels[i].ge(0).sum().item<std::int64_t>());
    CHECK(std::abs(score.nats / nats[i].item<double>() - 1) < 1e-5);
  }
  // What the encoder reads counts, and so does the order of the answer.
  const auto other = score_answers(*built.model, built.active, {}, pairs.ids.flip(0), pairs.mask,
                                   pairs.mask.logical_and(pairs.scored), 0);
  CHECK(std::abs(other[0].nats / scores[0].nats - 1) > 1e-3);
}

TEST_CASE("an item without marked tokens costs nothing, and one without a source is refused") {
  const at::NoGradGuard quiet;
  const auto read = testing::registry().make<Format>({{"type", "hugging_face"}})->read("tests/golden/models/t5");
  Session session(testing::registry(), RandomStreams(0, "test"), {}, at::kFloat);
  session.add_own_model("primary", {}, &*read.checkpoint, {});
  session.refresh();
  const auto& built = session.model("primary");
  const auto ids = ops::full({2, 4}, std::int64_t{7}, at::kLong);
  const auto mask = ops::full({2, 4}, true, at::kBool), scored = ops::full({2, 4}, false, at::kBool);
  scored[1][2] = true;
  const auto scores = score_answers(*built.model, built.active, {}, ids, mask, scored, 0);
  CHECK(scores[0].tokens == 0);
  CHECK(scores[0].nats == 0);
  CHECK(scores[1].tokens == 1);
  CHECK(scores[1].nats > 0);
  const auto all = score_answers(*built.model, built.active, {}, ids, mask, ops::full({2, 4}, true, at::kBool), 0);
  CHECK(all[0].tokens == 3);  // the first token is never scored, so the encoder reads it
  const auto hidden = mask.clone();
  hidden.select(1, 0).fill_(false);
  CHECK_THROWS_WITH(score_answers(*built.model, built.active, {}, ids, hidden, ops::full({2, 4}, true, at::kBool), 0),
                    Catch::Matchers::ContainsSubstring("item 0 of a batch has tokens to score and none"));
}

}  // namespace xp::engine_test
