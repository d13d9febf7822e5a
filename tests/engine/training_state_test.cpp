// Training states are written behind the training: what a state holds is what was there when it was asked for.
#include "engine/training_state.h"

#include <ATen/ATen.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <set>
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

// What is on the disk after states of these steps.
std::set<std::string> left_of(const Scratch& scratch, const std::vector<int>& steps, StateRetention keep) {
  int times = 0;
  StateWriter writer(
      scratch / "work", [&] { ++times; }, keep);
  for (const int step : steps) writer.write(step, state_of(at::full({4}, static_cast<float>(step))));
  writer.finish();
  CHECK(times == static_cast<int>(std::set<int>(steps.begin(), steps.end()).size()));
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "work"))
    left.insert(entry.path().filename());
  return left;
}

TEST_CASE("The newest training states stay, and one of the same step is not written twice") {
  const Scratch one, two, three;
  CHECK(left_of(one, {1, 5, 5}, {.last = 1}) == std::set<std::string>{"training.5"});
  CHECK(left_of(two, {1, 5, 5, 30}, {}) == std::set<std::string>{"training.5", "training.30"});
  CHECK(left_of(three, {1, 5, 9, 30}, {.last = 3}) ==
        std::set<std::string>{"training.5", "training.9", "training.30"});
}

TEST_CASE("Training states stay within the size that they may have; the newest stays at any size") {
  const Scratch small, large;
  CHECK(left_of(small, {1, 2, 3}, {.last = 3, .max_bytes = 1}) == std::set<std::string>{"training.3"});
  CHECK(left_of(large, {1, 2, 3}, {.last = 3, .max_bytes = 1e9}).size() == 3);
}

std::vector<std::int64_t> steps_that_stay(const std::vector<SavedState>& saved, const StateRetention& keep) {
  std::vector<std::int64_t> out;
  const auto stays = staying(saved, keep);
  for (std::size_t i = 0; i < saved.size(); ++i)
    if (stays[i]) out.push_back(saved[i].step);
  return out;
}

TEST_CASE("Training states stay for being new, good or of a round step, and what has no room goes in order") {
  const std::vector<SavedState> saved{{60, 10, 0.1}, {50, 10, 0.4}, {40, 10, {}}, {35, 10, 0.9},
                                      {30, 10, 0.5}, {20, 10, 0.5}, {10, 10, 0.2}};
  using Steps = std::vector<std::int64_t>;
  CHECK(steps_that_stay(saved, {.last = 2}) == Steps{60, 50});
  CHECK(steps_that_stay(saved, {.last = 1, .best = 2}) == Steps{60, 35, 30});  // of equal ones the newer
  CHECK(steps_that_stay(saved, {.last = 1, .best = 9}) == Steps{60, 50, 35, 30, 20, 10});
  CHECK(steps_that_stay(saved, {.last = 1, .every = 20}) == Steps{60, 40, 20});
  const StateRetention all{.last = 2, .best = 2, .every = 10};
  CHECK(steps_that_stay(saved, all) == Steps{60, 50, 40, 35, 30, 20, 10});
  const auto within = [&](double bytes) {
    auto tight = all;
    tight.max_bytes = bytes;
    return steps_that_stay(saved, tight);
  };
  CHECK(within(50) == Steps{60, 50, 40, 35, 30});
  CHECK(within(30) == Steps{60, 50, 35});
  CHECK(within(20) == Steps{60, 50});
  CHECK(within(1) == Steps{60});
  CHECK(steps_that_stay({}, all).empty());
}

TEST_CASE("Scores of training states outlive a kill") {
  const Scratch scratch;
  const StateRetention keep{.last = 1, .best = 1, .every = 7};
  {
    StateWriter writer(
        scratch / "work", [] {}, keep);
    CHECK(writer.wants(7));
    CHECK_FALSE(writer.wants(0));
    CHECK_FALSE(writer.wants(1));
    for (const int step : {1, 2}) {
      writer.judge(step, {{"dev.loss", step * 0.5}, {"dev.other", 0}}, "dev.loss", false);
      CHECK(writer.wants(step));
      writer.write(step, state_of(at::zeros({4})));
    }
    writer.judge(3, {{"dev.other", 0}}, "dev.loss", false);
    writer.judge(3, {{"dev.loss", std::nan("")}}, "dev.loss", false);
    CHECK_FALSE(writer.wants(3));
  }
  StateWriter again(
      scratch / "work", [] {}, keep);
  const auto state = read_training_state(scratch / "work");
  REQUIRE(state);
  again.load(*state);
  again.write(3, state_of(at::zeros({4})));
  again.finish();
  CHECK(std::filesystem::exists(scratch / "work" / "training.1"));
  CHECK_FALSE(std::filesystem::exists(scratch / "work" / "training.2"));
  CHECK(std::filesystem::exists(scratch / "work" / "training.3"));
}

TEST_CASE("Where the newest training state is damaged, the one before it serves") {
  const Scratch scratch;
  left_of(scratch, {1, 2, 3}, {});
  std::filesystem::resize_file(scratch / "work" / "training.3" / "state.safetensors", 20);
  const auto state = read_training_state(scratch / "work");
  REQUIRE(state);
  CHECK(state->child("weights").tensor("0").eq(2).all().item<bool>());
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
