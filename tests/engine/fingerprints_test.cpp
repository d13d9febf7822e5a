#include "engine/fingerprints.h"

#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

#include <set>

#include "api/ops.h"

namespace xp::engine_test {
namespace {

at::Tensor bits(std::int64_t flipped = -1) {
  auto out = ops::arange(21, at::kLong);
  if (flipped >= 0) out.data_ptr<std::int64_t>()[flipped / 64] ^= std::int64_t{1} << (flipped % 64);
  return out;
}

Batch batch(std::int64_t first_id, const std::string& field, const Column& column) {
  Batch out;
  out.sample_id = ops::arange(first_id, first_id + 3, at::kLong), out.group_id = ops::arange(3, at::kLong);
  out.set(field, column);
  return out;
}

TEST_CASE("a fingerprint changes with every bit, with shape and with type, and with nothing else") {
  std::set<std::uint64_t> seen{fingerprint(bits())};
  for (std::int64_t bit = 0; bit < 21 * 64; ++bit) seen.insert(fingerprint(bits(bit)));
  CHECK(seen.size() == 21 * 64 + 1);
  for (const auto& other : {bits().view({3, 7}), bits().view({7, 3}), bits().view({21, 1}), bits().to(at::kDouble),
                            bits().slice(0, 0, 20), bits().view(at::kDouble)})
    CHECK(seen.insert(fingerprint(other)).second);
  CHECK(fingerprint(ops::arange(42, at::kLong).view({21, 2}).select(1, 0)) ==
        fingerprint(ops::arange(0, 42, 2, at::kLong)));  // strides are no content
  CHECK(fingerprint(ops::empty({0})) != fingerprint(ops::empty({0, 2})));
}

TEST_CASE("a batch's fingerprint takes in ids, names and columns of every kind, in order") {
  const auto of = [](const Batch& one, std::uint64_t before = 0) { return fingerprint(one, before); };
  const auto dense = ops::arange(6, at::kLong).view({3, 2});
  const Ragged ragged{ops::arange(6, at::kLong), ops::arange(0, 8, 2, at::kLong)};
  const Ragged cut_elsewhere{ops::arange(6, at::kLong), ops::arange(0, 4, 1, at::kLong)};
  const Graphs graphs{ops::arange(4, at::kLong), ops::arange(3, at::kLong), ops::arange(4, at::kLong)};
  std::set<std::uint64_t> seen;
  for (const auto& one :
       {batch(0, "ids", dense), batch(1, "ids", dense), batch(0, "labels", dense), batch(0, "ids", dense.add(1)),
        batch(0, "ids", ragged), batch(0, "ids", cut_elsewhere), batch(0, "ids", graphs),
        batch(0, "ids", Strings{"ab", "c", ""}), batch(0, "ids", Strings{"a", "bc", ""})})
    CHECK(seen.insert(of(one)).second);
  const auto a = batch(0, "ids", dense), b = batch(1, "ids", dense);
  CHECK(of(a) == of(batch(0, "ids", dense.clone())));
  CHECK(of(a, of(b)) != of(b, of(a)));
}

TEST_CASE("weights are hashed at steps that depend on nothing but their number") {
  std::vector<std::int64_t> due;
  for (std::int64_t step = 0; step <= 520; ++step)
    if (weights_due(step)) due.push_back(step);
  CHECK(due == std::vector<std::int64_t>{0, 1, 2, 4, 8, 16, 32, 64, 100, 128, 200, 256, 300, 400, 500, 512});
}

TEST_CASE("training names its tensors at the start, at due steps and at the end, and each batch") {
  Stage stage(letters(30));
  stage.run(stage.request("7 steps"));
  const auto& notes = stage.notes;
  REQUIRE(notes.batches.size() == 7);
  std::set<std::uint64_t> distinct;
  for (const auto& [step, hash] : notes.batches) distinct.insert(hash);
  CHECK(distinct.size() == 7);
  std::set<std::int64_t> steps;
  for (const auto& [step, tensors] : notes.weights) {
    steps.insert(step);
    CHECK(tensors.size() == notes.weights.at(0).size());
  }
  CHECK(steps == std::set<std::int64_t>{0, 1, 2, 4, 7});
  for (const auto& [tensor, hash] : notes.weights.at(0)) {
    INFO(tensor);
    CHECK(notes.weights.at(7).at(tensor) != hash);
  }

  Stage other(letters(30));
  other.seed = 2;
  other.run(other.request("7 steps"));
  CHECK(other.notes.batches != notes.batches);
  CHECK(other.notes.weights.at(0) != notes.weights.at(0));
}

}  // namespace
}  // namespace xp::engine_test
