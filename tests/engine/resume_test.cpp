#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

#include <tuple>

namespace xp::engine_test {
namespace {

constexpr std::int64_t kSteps = 7;

/// Everything with a state: Adam's moments, dropout, masks that are drawn, a mask rate that moves, evaluation, the
/// best checkpoint.
TrainRequest request(const Stage& stage) {
  auto out = stage.request(std::to_string(kSteps) + " steps",
                           {{"type", "mlm"}, {"mask_rate", Table{{"from", 0.5}, {"to", 0.2}}}},
                           {{"kind", "encoder"}, {"dropout", 0.1}});
  out.optimizer = testing::registry().make<Optimizer>({{"type", "adamw"}, {"lr", 0.02}});
  out.schedule = testing::registry().make<Schedule>({{"type", "warmup_linear"}, {"warmup", 0.3}});
  out.clip = 0.5;
  out.evaluate_every = Quantity{2, Unit::steps};
  out.evaluators.push_back({"dev", testing::registry().make<Evaluator>(
                                       {{"type", "pseudo_likelihood"}, {"data", Value(stage.data)}, {"rate", 0.5}})});
  out.keep_best = 1, out.keep_by = "dev.bits", out.keep_higher = false;
  return out;
}

struct Outcome {
  Checkpoint checkpoint;
  Notes notes;
};

const Outcome& unbroken() {
  static const Outcome one = [] {
    Stage stage(letters(30));
    auto trained = stage.run(request(stage));
    return Outcome{std::move(trained.checkpoint), stage.notes};
  }();
  return one;
}

void check_same(const Stage& stage, const Checkpoint& checkpoint) {
  CHECK(difference(checkpoint, unbroken().checkpoint) == 0);
  for (const char* curve : {"loss", "lr", "gradient_norm", "knob.mask_rate", "dev.bits"}) {
    INFO(curve);
    CHECK(stage.notes.values(curve) == unbroken().notes.values(curve));
  }
  CHECK(stage.notes.batches == unbroken().notes.batches);
  CHECK(stage.notes.weights == unbroken().notes.weights);
  const auto &a = stage.notes.last, &b = unbroken().notes.last;
  CHECK((std::tuple(a.steps, a.input_tokens, a.supervised_tokens, a.items, a.bytes, a.epochs, a.flops) ==
         std::tuple(b.steps, b.input_tokens, b.supervised_tokens, b.items, b.bytes, b.epochs, b.flops)));
}

TEST_CASE("training that is stopped after any step and resumed ends with identical weights and curves") {
  for (std::int64_t k = 0; k < kSteps; ++k) {
    INFO("stopped after " << k << " steps");
    Stage stage(letters(30));
    stage.stop_at = k;
    Exit exit = Exit::ok;
    try {
      stage.run(request(stage));
    } catch (const Error& error) {
      exit = error.exit();
      CHECK(std::string(error.what()) == "stopped with a good checkpoint at step " + std::to_string(k));
    }
    CHECK(exit == Exit::stopped);
    CHECK(std::filesystem::exists(stage.work() / ("training." + std::to_string(k)) / "state.json"));
    stage.stop_at = -1;
    check_same(stage, stage.run(request(stage)).checkpoint);
    CHECK(stage.notes.notes.back() == "resumed at step " + std::to_string(k));
  }
  CHECK(unbroken().notes.values("loss").size() == kSteps);
  CHECK(unbroken().notes.batches.size() == kSteps);
  CHECK(unbroken().notes.weights.size() == 5);  // after 0, 1, 2, 4 and 7 steps
}

TEST_CASE("training that dies between two states goes on from the last one") {
  Stage stage(letters(30));
  int steps = 0;
  stage.at_progress = [&] {
    if (++steps == 5) throw std::runtime_error("the machine is gone");
  };
  const auto every_second = [&] {
    auto out = request(stage);
    out.checkpoint_every = Quantity{2, Unit::steps};
    return out;
  };
  CHECK_THROWS_AS(stage.run(every_second()), std::runtime_error);
  stage.at_progress = {};
  check_same(stage, stage.run(every_second()).checkpoint);
  CHECK(stage.notes.notes.back() == "resumed at step 4");
}

TEST_CASE("a change to a training state shows in the fingerprints, and what a kill half wrote goes") {
  Stage stage(letters(30));
  stage.stop_at = 3;
  CHECK_THROWS_AS(stage.run(request(stage)), Error);
  const auto state = stage.work() / "training.3" / "state.safetensors";
  auto bytes = read_file(state);
  const auto weights = bytes.size() - 3;  // of a moment or a weight: all tensors move with it
  bytes[weights] ^= 0x10;
  write_file(state, bytes);
  std::filesystem::create_directories(stage.work() / "writing-left");
  stage.stop_at = -1;
  stage.run(request(stage));
  CHECK_FALSE(std::filesystem::exists(stage.work() / "writing-left"));
  CHECK(stage.notes.batches == unbroken().notes.batches);
  CHECK(stage.notes.weights.at(2) == unbroken().notes.weights.at(2));
  CHECK(stage.notes.weights.at(4) != unbroken().notes.weights.at(4));
}

TEST_CASE("a damaged training state is passed over, and never stands in the way of a good one") {
  Stage stage(letters(30));
  stage.stop_at = 3;
  CHECK_THROWS_AS(stage.run(request(stage)), Error);
  const auto state = stage.work() / "training.3" / "state.safetensors";
  std::filesystem::resize_file(state, std::filesystem::file_size(state) / 2);
  CHECK_THROWS_AS(stage.run(request(stage)), Error);  // from the beginning, and stopped at the same step
  stage.stop_at = -1;
  check_same(stage, stage.run(request(stage)).checkpoint);
  REQUIRE_FALSE(stage.notes.notes.empty());
  CHECK(stage.notes.notes.back() == "resumed at step 3");
}

}  // namespace
}  // namespace xp::engine_test
