#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/utils.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/ops.h"
#include "api/optimizer.h"
#include "api/state.h"
#include "testing/testing.h"

namespace adamw_test {

using Tensors = std::vector<at::Tensor>;

Tensors weights() {
  Tensors all;
  for (int i = 0; i < 3; ++i)
    all.push_back(xp::ops::arange(40, at::kFloat).add(7.0 * i).sin().view({5, 8}).clone().requires_grad_(true));
  return all;
}
/// Gradients that differ by step and tensor; the last tensor gets none in every third step.
void give_gradients(const Tensors& all, int step) {
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i].mutable_grad() =
        i == 2 && step % 3 == 0
            ? at::Tensor()
            : xp::ops::arange(40, at::kFloat).mul(0.3 * (step + 1)).add(static_cast<double>(i)).cos().view({5, 8});
}
std::vector<xp::ParameterGroup> groups(const Tensors& all) {
  return {{{&all[0], &all[1]}, 1, 0.1}, {{&all[2]}, 0.5, 0}};
}
double difference(const Tensors& a, const Tensors& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, (a[i] - b[i]).abs().max().item<double>());
  return worst;
}
std::unique_ptr<xp::Optimizer> make(xp::Table table) { return xp::testing::registry().make<xp::Optimizer>(table); }

TEST_CASE("adamw equals LibTorch's over 50 steps, with groups, decay and missing gradients") {
  const torch::NoGradGuard quiet;
  const auto ours = weights(), theirs = weights();
  const auto optimizer = make({{"type", "adamw"}, {"beta1", 0.8}, {"beta2", 0.95}, {"epsilon", 1e-6}});
  optimizer->start(groups(ours));
  const auto options = [](double lr, double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(lr).betas({0.8, 0.95}).eps(1e-6).weight_decay(decay));
  };
  torch::optim::AdamW reference({torch::optim::OptimizerParamGroup({theirs[0], theirs[1]}, options(0, 0.1)),
                                 torch::optim::OptimizerParamGroup({theirs[2]}, options(0, 0))});
  for (int step = 0; step < 50; ++step) {
    const double lr = 1e-2 * (1 - step / 60.0);
    give_gradients(ours, step), give_gradients(theirs, step);
    optimizer->update(lr);
    for (std::size_t g = 0; g < 2; ++g) reference.param_groups()[g].options().set_lr(lr * (g ? 0.5 : 1));
    reference.step();
  }
  CHECK(difference(ours, weights()) > 0.1);
  CHECK(difference(ours, theirs) < 1e-6);
}

TEST_CASE("adam equals LibTorch's over 50 steps") {
  const torch::NoGradGuard quiet;
  const auto ours = weights(), theirs = weights();
  const auto optimizer = make({{"type", "adam"}});
  optimizer->start({{{&ours[0], &ours[1], &ours[2]}, 1, 0.1}});
  torch::optim::Adam reference(theirs, torch::optim::AdamOptions(1e-2).weight_decay(0.1));
  for (int step = 0; step < 50; ++step) {
    give_gradients(ours, step), give_gradients(theirs, step);
    optimizer->update(1e-2), reference.step();
  }
  CHECK(difference(ours, theirs) < 1e-6);
}

TEST_CASE("a saved and loaded optimizer goes on as if nothing had happened") {
  const torch::NoGradGuard quiet;
  for (const bool correct : {true, false}) {
    const xp::Table table{{"type", "adamw"}, {"bias_correction", correct}};
    const auto whole = weights(), first = weights();
    const auto one = make(table), two = make(table), three = make(table);
    one->start(groups(whole)), two->start(groups(first));
    for (int step = 0; step < 6; ++step) give_gradients(whole, step), one->update(1e-2);
    for (int step = 0; step < 3; ++step) give_gradients(first, step), two->update(1e-2);
    xp::State state;
    two->save(state);
    three->start(groups(first));
    three->load(state);
    for (int step = 3; step < 6; ++step) give_gradients(first, step), three->update(1e-2);
    CHECK(difference(whole, first) == 0);
  }
}

TEST_CASE("adamw shows its moments to constraints, keeps to the policy and refuses a state that does not fit") {
  const torch::NoGradGuard quiet;
  const auto all = weights();
  const auto optimizer = make({{"type", "adamw"}, {"lr", 0.25}, {"weight_decay", 0.5}, {"layer_decay", 0.75}});
  CHECK(optimizer->policy().lr == 0.25);
  CHECK(optimizer->policy().weight_decay == 0.5);
  CHECK(optimizer->policy().layer_decay == 0.75);
  optimizer->start(groups(all));
  CHECK(optimizer->state_of(all[0]).empty());
  give_gradients(all, 0);
  optimizer->update(1e-2);
  const auto moments = optimizer->state_of(all[0]);
  REQUIRE(moments.size() == 2);
  CHECK(moments[0].allclose(all[0].grad() * 0.1));
  CHECK(moments[1].allclose(all[0].grad().square() * 0.001));
  CHECK(optimizer->state_of(all[2]).empty());  // it had no gradient
  xp::State state;
  optimizer->save(state);
  const auto other = make({{"type", "adamw"}});
  other->start({{{&all[0]}, 1, 0}});
  CHECK_THROWS_WITH(other->load(state), Catch::Matchers::ContainsSubstring("of 3 tensors"));
}

TEST_CASE("without bias correction the first step is the plain quotient") {
  const torch::NoGradGuard quiet;
  const auto all = weights(), start = weights();
  const auto optimizer = make({{"type", "adamw"}, {"bias_correction", false}});
  optimizer->start({{{&all[0]}, 1, 0.5}});
  give_gradients(all, 1);
  const auto g = all[0].grad();
  optimizer->update(1e-2);
  const auto expected = start[0] * (1 - 1e-2 * 0.5) - 1e-2 * (0.1 * g) / ((0.001 * g * g).sqrt() + 1e-8);
  CHECK(all[0].allclose(expected, 1e-5, 1e-7));
}

}  // namespace adamw_test
