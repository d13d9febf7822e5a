// Pairs of texts through the engine: from documents to what a model of another tool gives for them.
#include "api/format.h"
#include "api/ops.h"
#include "engine/session.h"
#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

namespace xp::engine_test {

TEST_CASE("a handle gives a model the segments of a pair, as the library that made it would") {
  const std::string folder = "tests/golden/models/bert";
  const auto read = testing::registry().make<Format>({{"type", "hugging_face"}})->read(folder);
  const TensorFiles expected(folder + "/expected.safetensors");
  const auto get = [&](const char* name) { return tensor_of(expected.at(name)); };
  Session session(testing::registry(), RandomStreams(0, "test"), {}, at::kFloat);
  session.add_own_model("primary", {}, &*read.checkpoint, {});
  session.refresh();
  const auto handle = session.handle({});
  Batch batch;
  batch.sample_id = ops::arange(2);
  batch.set("ids", get("ids"));
  batch.set("input.mask", get("mask").to(at::kBool));
  const auto apart = [&](const char* name) {
    const auto tokens = handle->encode(batch, {.tokens = true}).tokens;
    return (tokens - get(name)).abs().amax(-1).mul(get("mask")).max().item<double>() /
           get(name).abs().max().item<double>();
  };
  CHECK(apart("hidden") < 1e-5);
  batch.set("segment", get("segments"));
  CHECK(apart("segments.hidden") < 1e-5);
  CHECK(apart("hidden") > 1e-2);
}

}  // namespace xp::engine_test
