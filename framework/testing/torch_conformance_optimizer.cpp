#include "testing/torch_conformance_optimizer.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "api/optimizer.h"
#include "api/state.h"
#include "kit/torch_operators.h"
#include "testing/conformance_component.h"
#include "testing/torch_toy_build.h"

namespace xp::testing {
namespace {

at::Tensor numbers(const std::vector<std::int64_t>& shape, std::uint64_t key) {
  return toy_normal(RandomStreams(key, "numbers").stream(), shape, {0, 1}, at::kFloat);
}

/// A matrix, a vector and a tensor that never gets a gradient, under an optimizer.
struct Scene {
  Scene(const Registry& registry, const Table& settings, double decay, double scale = 1)
      : optimizer(registry.make<Optimizer>(settings)) {
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = numbers(shapes()[i], i + 1);
    optimizer->start({{.tensors = {&weights[0]}, .lr_scale = scale, .weight_decay = decay},
                      {.tensors = {&weights[1], &weights[2]}, .lr_scale = scale, .weight_decay = decay}});
  }
  static std::vector<std::vector<std::int64_t>> shapes() { return {{6, 4}, {5}, {3, 2}}; }

  void update(double lr, std::uint64_t step) {
    for (std::size_t i = 0; i < 2; ++i) weights[i].mutable_grad() = numbers(shapes()[i], 100 * (step + 1) + i);
    optimizer->update(lr);
  }

  std::vector<at::Tensor> weights{3};
  std::unique_ptr<Optimizer> optimizer;
};

void check_state(const Registry& registry, const Table& settings, double lr) {
  Scene first(registry, settings, 0.1);
  CHECK(first.optimizer->state_of(first.weights[0]).empty());
  for (std::uint64_t step = 0; step < 3; ++step) first.update(lr, step);
  for (std::size_t i = 0; i < 2; ++i)
    for (const auto& state : first.optimizer->state_of(first.weights[i]))
      CHECK(state.sizes() == first.weights[i].sizes());

  State saved;
  first.optimizer->save(saved);
  Scene second(registry, settings, 0.1);
  for (std::size_t i = 0; i < 3; ++i) second.weights[i].copy_(first.weights[i]);
  second.optimizer->load(saved);
  for (std::uint64_t step = 3; step < 6; ++step) {
    first.update(lr, step), second.update(lr, step);
    for (std::size_t i = 0; i < 3; ++i) {
      INFO("tensor " << i << " after step " << step);
      CHECK(first.weights[i].equal(second.weights[i]));
    }
  }
  if (saved.tensor_names().empty()) return;  // nothing that could fail to fit
  const auto other = registry.make<Optimizer>(settings);
  at::Tensor one = numbers({6, 5}, 1), two = numbers({5}, 2), three = numbers({3, 2}, 3);
  other->start({{.tensors = {&one, &two, &three}}});
  CHECK_THROWS_AS(other->load(saved), Error);
}

void check_scale(const Registry& registry, const Table& settings, double lr) {
  Scene whole(registry, settings, 0), half(registry, settings, 0, 0.5);
  for (std::uint64_t step = 0; step < 3; ++step) whole.update(lr, step), half.update(2 * lr, step);
  for (std::size_t i = 0; i < 2; ++i) CHECK(whole.weights[i].allclose(half.weights[i], 1e-5, 1e-7));
}

double quadratic_after(const Registry& registry, const Table& settings, double lr, int steps) {
  Scene scene(registry, settings, 0);
  for (int step = 0; step < steps; ++step) {
    for (std::size_t i = 0; i < 2; ++i) scene.weights[i].mutable_grad() = scene.weights[i].clone();
    scene.optimizer->update(lr);
  }
  return (scene.weights[0].square().sum() + scene.weights[1].square().sum()).item<double>();
}

}  // namespace

void check_optimizer(const Registry& registry, const Table& settings) {
  check_component(registry, Optimizer::kInterface, *settings.at("type").as<std::string>());
  INFO("optimizer " << to_text(settings));
  const auto policy = registry.make<Optimizer>(settings)->policy();
  REQUIRE((std::isfinite(policy.lr) && policy.lr > 0));
  CHECK((std::isfinite(policy.weight_decay) && policy.weight_decay >= 0));
  CHECK((policy.layer_decay > 0 && policy.layer_decay <= 1));

  Scene moved(registry, settings, 0.1);
  moved.update(policy.lr, 0);
  CHECK_FALSE(moved.weights[0].equal(numbers({6, 4}, 1)));
  CHECK_FALSE(moved.weights[1].equal(numbers({5}, 2)));
  CHECK(moved.weights[2].equal(numbers({3, 2}, 3)));

  Scene still(registry, settings, 0);
  for (auto& weight : still.weights) weight.mutable_grad() = weight.new_zeros(weight.sizes());
  for (int step = 0; step < 3; ++step) still.optimizer->update(policy.lr);
  for (std::size_t i = 0; i < 3; ++i) CHECK(still.weights[i].equal(numbers(Scene::shapes()[i], i + 1)));

  check_state(registry, settings, policy.lr);
  check_scale(registry, settings, policy.lr);
  CHECK(quadratic_after(registry, settings, policy.lr, 30) < quadratic_after(registry, settings, policy.lr, 0));
}

}  // namespace xp::testing
