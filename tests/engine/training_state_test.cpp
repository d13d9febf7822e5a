// Training states are written behind the training: what a state holds is what was there when it was asked for.
#include "engine/training_state.h"

#include <ATen/ATen.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <thread>

#include "../scratch.h"

namespace xp {
namespace {

State state_of(const at::Tensor& weights) {
  State out;
  TrainingState().save(out);
  out.child("weights").set("0", weights);
  return out;
}

TEST_CASE("A training state is a copy: training goes on while it is written") {
  const Scratch scratch;
  auto weights = at::full({1 << 20}, 1.0f);
  std::atomic<bool> may_count{false};
  StateWriter writer(scratch / "work", [&] {
    while (!may_count) std::this_thread::yield();
  });
  writer.write(3, state_of(weights));
  weights.fill_(2);
  CHECK_FALSE(std::filesystem::exists(scratch / "work" / "training.3"));  // the records are not on the disk yet
  may_count = true;
  writer.finish();
  const auto saved = read_training_state(scratch / "work");
  REQUIRE(saved);
  CHECK(saved->child("weights").tensor("0").eq(1).all().item<bool>());
}

TEST_CASE("The newest training state stays, and one of the same step is not written twice") {
  const Scratch scratch;
  int times = 0;
  StateWriter writer(scratch / "work", [&] { ++times; });
  for (const int step : {1, 5, 5}) writer.write(step, state_of(at::full({4}, static_cast<float>(step))));
  writer.finish();
  CHECK(times == 2);
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "work"))
    left.push_back(entry.path().filename());
  CHECK(left == std::vector<std::string>{"training.5"});
}

TEST_CASE("A training state that cannot be written is an error for who waits for it") {
  const Scratch scratch;
  std::ofstream(scratch / "work") << "a file in the way";
  StateWriter writer(scratch / "work", [] {});
  writer.write(1, state_of(at::zeros({4})));
  CHECK_THROWS(writer.finish());
  writer.finish();  // said once
}

}  // namespace
}  // namespace xp
