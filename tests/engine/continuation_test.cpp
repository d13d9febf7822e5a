// What a stage takes over from the stage whose checkpoint it starts from.
#include "api/ops.h"
#include "engine/artifacts.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

using Catch::Matchers::ContainsSubstring;

TrainRequest steps(const Stage& stage, const std::string& stop) {
  auto out = stage.request(stop, {{"type", "causal_lm"}}, {{"dropout", 0.2}});
  out.optimizer = testing::registry().make<Optimizer>({{"type", "adamw"}, {"lr", 0.01}});
  out.schedule = testing::registry().make<Schedule>({{"type", "warmup_linear"}});
  out.schedule_length = parse_quantity("14 steps");
  out.keep_state = true;
  return out;
}

Reference kept(const std::string& name) { return {.text = name, .kind = "checkpoint", .node = name}; }

Checkpoint second(Stage& stage, Continuation what, const std::string& stop = "8 steps") {
  auto request = steps(stage, stop);
  request.model = kept("first");
  request.continues = what;
  std::filesystem::remove_all(stage.work());
  return stage.run(std::move(request)).checkpoint;
}

void train_first(Stage& stage) {
  save_checkpoint(stage.folder("first"), stage.run(steps(stage, "6 steps")).checkpoint);
}

}  // namespace

TEST_CASE("a stage that continues everything trains on as if there had been one") {
  Stage stage(letters(18));  // epochs end within both stages
  const auto whole = stage.run(steps(stage, "14 steps")).checkpoint;
  std::filesystem::remove_all(stage.work());
  train_first(stage);
  CHECK(difference(second(stage, {.optimizer = true, .schedule = true, .random = true}), whole) == 0);
  for (const Continuation less :
       {Continuation{.schedule = true, .random = true}, Continuation{.optimizer = true, .random = true},
        Continuation{.optimizer = true, .schedule = true}, Continuation{}})
    CHECK(difference(second(stage, less), whole) > 1e-4);
}

TEST_CASE("a third stage continues from where the second ended, which a kill does not change") {
  Stage stage(letters(18));
  const auto whole = stage.run(steps(stage, "14 steps")).checkpoint;
  std::filesystem::remove_all(stage.work());
  train_first(stage);
  const Continuation all{.optimizer = true, .schedule = true, .random = true};
  save_checkpoint(stage.folder("middle"), second(stage, all, "5 steps"));
  std::filesystem::remove_all(stage.work());
  const auto third = [&] {
    auto request = steps(stage, "3 steps");
    request.model = kept("middle"), request.continues = all;
    return stage.run(std::move(request));
  };
  stage.stop_at = 2;
  CHECK_THROWS_AS(third(), Error);
  stage.stop_at = -1;
  const auto end = third();
  CHECK(difference(end.checkpoint, whole) == 0);
  CHECK(end.counters.steps == 3);
  CHECK(end.counters.epochs < 1);
}

TEST_CASE("what cannot be continued is said with its remedy") {
  Stage stage(letters(12));
  auto request = steps(stage, "3 steps");
  request.keep_state = false;
  save_checkpoint(stage.folder("first"), stage.run(std::move(request)).checkpoint);
  CHECK_THROWS_WITH(second(stage, {.optimizer = true}), ContainsSubstring("`first` kept no training state") &&
                                                            ContainsSubstring("keep_state = true in stage `first`"));
  CHECK_NOTHROW(second(stage, {}));
  auto fresh = steps(stage, "3 steps");
  fresh.continues = {.schedule = true};
  CHECK_THROWS_WITH(stage.run(std::move(fresh)), ContainsSubstring("this stage starts a new model"));
}

}  // namespace xp::engine_test
