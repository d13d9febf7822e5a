#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

#include <numeric>

namespace xp::engine_test {
namespace {

double mean_of(const std::vector<double>& values, std::size_t from, std::size_t to) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(from),
                         values.begin() + static_cast<std::ptrdiff_t>(to), 0.0) /
         static_cast<double>(to - from);
}

TrainRequest request(const Stage& stage, const std::string& stop, double lr) {
  auto out = stage.request(stop);
  out.optimizer = testing::registry().make<Optimizer>({{"type", "adamw"}, {"lr", lr}, {"weight_decay", 0.0}});
  return out;
}

TEST_CASE("bfloat16: the loss falls as it does in float32") {
  std::vector<double> first, last;
  for (const auto precision : {at::kFloat, at::kBFloat16}) {
    Stage stage(std::vector<std::string>(16, "abcabcabcabc"));
    stage.precision = precision;
    stage.run(request(stage, "60 steps", 0.02));
    const auto loss = stage.notes.values("loss");
    first.push_back(mean_of(loss, 0, 5)), last.push_back(mean_of(loss, 55, 60));
    CHECK(stage.notes.finals.at("skipped_steps") == 0);
  }
  CHECK(last[1] < 0.5 * first[1]);
  CHECK(std::abs(last[1] - last[0]) < 0.2 * first[0]);
}

TEST_CASE("bfloat16: weights are float32 masters, so that updates below its precision add up") {
  Stage stage(letters(20));
  stage.precision = at::kBFloat16;
  const auto before = stage.run(request(stage, "1 steps", 1e-9)).checkpoint;
  std::filesystem::remove_all(stage.work());
  // 64 steps of 1e-5 move a norm's weight of 1 by less than bfloat16 can write at once (1/128), each step alone by
  // nothing.
  const auto after = stage.run(request(stage, "64 steps", 1e-5)).checkpoint;
  std::size_t norms = 0, finer = 0;
  for (Param i = 0; i < after.parameters.size(); ++i) {
    const auto &x = after.parameters.values[i], &old = before.parameters.values[i];
    CHECK(x.scalar_type() == at::kFloat);
    finer += !x.equal(x.to(at::kBFloat16).to(at::kFloat));
    if (after.parameters.info[i].role != "norm" || !old.gt(0.5).all().item<bool>()) continue;
    ++norms;
    const double moved = x.sub(old).abs().max().item<double>();
    CHECK(moved > 5e-5);
    CHECK(moved < 1.0 / 128);
  }
  CHECK(norms > 0);
  CHECK(finer > 3);
}

TEST_CASE("bfloat16: passes read bfloat16, tied tables as one tensor; gradients reach the masters") {
  Stage stage(letters(4));
  Session session(testing::registry(), RandomStreams(1),
                  {.encoder = stage.encoder, .artifact = {}, .checkpoints = {}, .categories = {}}, at::kBFloat16);
  session.add_model("primary",
                    {.type = "transformer", .like = {}, .settings = {{"layers", 1}, {"width", 8}, {"heads", 2}}},
                    nullptr, false);
  session.refresh();
  const auto& model = session.model("primary");
  REQUIRE(model.active.size() == model.own.size());
  for (Param i = 0; i < model.own.size(); ++i) {
    CHECK(model.active[i].scalar_type() == at::kBFloat16);
    CHECK(model.own.values[i].scalar_type() == at::kFloat);
  }
  at::Tensor(model.active[0].to(at::kFloat).sum()).backward();
  CHECK(model.own.values[0].grad().defined());
  CHECK(model.own.values[0].grad().scalar_type() == at::kFloat);
}

}  // namespace
}  // namespace xp::engine_test
