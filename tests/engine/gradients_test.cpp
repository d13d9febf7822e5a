#include "api/ops.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>
#include <set>

#include "engine/gradients.h"

namespace xp::engine_test {
namespace {

using Catch::Approx;

/// The loss is slope * w: the gradient of w is the slope, not a number at some steps.
class Slope final : public Objective {
 public:
  Slope(std::vector<float> slope, std::set<std::int64_t> broken)
      : slope_(std::move(slope)), broken_(std::move(broken)) {}
  void build(BuildContext& context) override { w_ = context.add({"w", "dense"}, {std::ssize(slope_)}, {1, 0}); }
  Counts counts(const Batch& batch) const override { return {{"slope", ops::full({batch.items()}, 2, at::kLong)}}; }
  StepResult step(const Batch& batch, StepContext& context) override {
    auto slope = ops::zeros({std::ssize(slope_)}, at::kFloat);
    std::copy(slope_.begin(), slope_.end(), slope.mutable_data_ptr<float>());
    if (broken_.contains(context.step())) slope.mul_(std::numeric_limits<float>::infinity());
    // Each item gives twice the slope and counts two.
    return {.terms = {{"slope", context.weight(w_).mul(slope).sum().mul(2).expand({batch.items()})}}};
  }

 private:
  std::vector<float> slope_;
  std::set<std::int64_t> broken_;
  Param w_ = 0;
};

struct Run {
  Notes notes;
  std::vector<at::Tensor> gradients;  ///< of the last step that moved
  std::string error;
  at::Tensor w(std::size_t i) const { return gradients.at(i); }
};

Run run_slope(std::vector<float> slope, std::set<std::int64_t> broken, double clip, const std::string& stop) {
  Stage stage(letters(20));
  Run out;
  auto request = stage.request(stop);
  request.objective = std::make_unique<Slope>(std::move(slope), std::move(broken));
  request.optimizer = std::make_unique<Descent>(0.5, &out.gradients);
  request.clip = clip;
  try {
    stage.run(std::move(request));
  } catch (const Error& error) {
    out.error = error.what();
  }
  out.notes = stage.notes;
  std::erase_if(out.gradients, [](const auto& one) { return !one.defined(); });
  return out;
}

TEST_CASE("gradients of micro-batches add up to those of the whole batch by its counts, however unequal they are") {
  std::vector<at::Tensor> whole;
  double whole_loss = 0;
  for (const std::int64_t micro : {0, 1, 2, 3, 5}) {
    INFO("micro-batches of " << micro);
    Stage stage(letters(40));
    std::vector<at::Tensor> gradients;
    auto request =
        stage.request("1 steps", {{"type", "mlm"}, {"mask_rate", 0.3}}, {{"kind", "encoder"}, {"dropout", 0.2}});
    request.optimizer = std::make_unique<Descent>(0.1, &gradients);
    request.batch.items = 11, request.micro_batch = micro;
    stage.run(std::move(request));
    const double loss = stage.notes.values("loss").at(0);
    if (micro == 0) {
      whole = gradients, whole_loss = loss;
      continue;
    }
    CHECK(loss == Approx(whole_loss).epsilon(1e-6));
    REQUIRE(gradients.size() == whole.size());
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      REQUIRE(gradients[i].defined() == whole[i].defined());
      if (!whole[i].defined()) continue;
      largest = std::max(largest, whole[i].abs().max().item<double>());
      worst = std::max(worst, whole[i].sub(gradients[i]).abs().max().item<double>());
    }
    CHECK(largest > 0.01);
    CHECK(worst < 1e-6 * std::max(1.0, largest));
  }
}

TEST_CASE("the gradient is the sum over all items divided by the sum of their counts") {
  const auto run = run_slope({3, -4}, {}, 0, "1 steps");
  REQUIRE(run.gradients.size() == 1);
  CHECK(run.w(0)[0].item<float>() == Approx(3));
  CHECK(run.w(0)[1].item<float>() == Approx(-4));
  CHECK(run.notes.values("gradient_norm").at(0) == Approx(5));
  CHECK(run.notes.values("loss").at(0) == Approx(3 - 4));
}

TEST_CASE("a step whose gradient is not finite moves nothing, is counted, and training goes on") {
  const auto run = run_slope({1, 1}, {1, 2}, 0, "5 steps");
  CHECK(run.error.empty());
  // w starts at 1 and falls by 0.5 where the gradient is finite; the loss is the sum of both.
  const auto loss = run.notes.values("loss");
  REQUIRE(loss.size() == 5);
  CHECK(loss[0] == Approx(2));
  CHECK_FALSE(std::isfinite(loss[1]));
  CHECK_FALSE(std::isfinite(loss[2]));
  CHECK(loss[3] == Approx(1));
  CHECK(loss[4] == Approx(0).margin(1e-6));
  CHECK(run.notes.finals.at("skipped_steps") == 2);
  CHECK(run.notes.last.steps == 5);
  CHECK_FALSE(std::isfinite(run.notes.values("gradient_norm").at(1)));
}

TEST_CASE("a stage whose gradients stay broken ends with a sentence") {
  std::set<std::int64_t> all;
  for (std::int64_t i = 0; i < 30; ++i) all.insert(i + 3);
  const auto run = run_slope({1}, all, 1, "40 steps");
  CHECK_THAT(run.error, Catch::Matchers::StartsWith("diverged: gradients were not finite for 20 steps up to step "));
  CHECK_THAT(run.error, Catch::Matchers::ContainsSubstring("lower the learning rate"));
}

TEST_CASE("clipping scales all gradients together to the norm asked for, and only those above it") {
  for (const double clip : {0.0, 1.0, 4.9, 5.1, 100.0}) {
    const auto run = run_slope({3, -4}, {}, clip, "1 steps");
    const double factor = clip > 0 && clip < 5 ? clip / 5 : 1;
    CHECK(run.w(0)[0].item<float>() == Approx(3 * factor).epsilon(1e-5));
    CHECK(run.w(0)[1].item<float>() == Approx(-4 * factor).epsilon(1e-5));
    CHECK(run.notes.values("gradient_norm").at(0) == Approx(5));  // as it was before
  }
}

TEST_CASE("parameter groups: norms, biases and scalars do not decay; lower layers learn slower") {
  Parameters all;
  const auto add = [&](const char* role, int layer) {
    all.info.push_back({"p" + std::to_string(all.size()), role, layer}), all.values.push_back(ops::zeros({2}));
  };
  add("vocab.input", -1), add("dense", 0), add("norm", 0), add("dense", 1), add("bias", 1), add("head", -1),
      add("scalar", -1);
  const auto groups = parameter_groups(all, all.distinct(), {.lr = 1, .weight_decay = 0.1, .layer_decay = 0.5});
  std::map<const at::Tensor*, const ParameterGroup*> group;
  for (const auto& one : groups)
    for (const auto* tensor : one.tensors) group[tensor] = &one;
  REQUIRE(group.size() == 7);
  const std::vector<double> scale{0.125, 0.25, 0.25, 0.5, 0.5, 1, 1}, decay{0.1, 0.1, 0, 0.1, 0, 0.1, 0};
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(group.at(&all.values[i])->lr_scale == Approx(scale[i]));
    CHECK(group.at(&all.values[i])->weight_decay == decay[i]);
  }
}

}  // namespace
}  // namespace xp::engine_test
