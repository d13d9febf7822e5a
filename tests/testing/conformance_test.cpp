// Walks the registry: a plugin is tested the day it registers.
#include <catch2/catch_test_macros.hpp>

#include "testing/conformance_component.h"
#include "testing/conformance_tokenizer.h"
#include "testing/conformance_vocab_initializer.h"
#include "testing/testing.h"
#include "testing/torch_toy_weights.h"

TEST_CASE("every component describes itself and is made from its defaults") {
  const auto& registry = xp::testing::registry();
  REQUIRE_FALSE(registry.catalogue().list().empty());
  for (const auto* info : registry.catalogue().list()) DYNAMIC_SECTION(info->interface << " " << info->type) {
      xp::testing::check_component(registry, info->interface, info->type);
    }
}

TEST_CASE("every vocabulary initializer keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("vocab_initializer")) DYNAMIC_SECTION(type) {
      xp::Parameters tables;
      xp::testing::check_vocab_initializer(registry, type, [&](const xp::testing::ToyEncoder& source) {
        tables = xp::testing::toy_weights(source);
        return &tables;
      });
    }
}

TEST_CASE("every tokenizer keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("tokenizer")) DYNAMIC_SECTION(type) {
      xp::testing::check_tokenizer(registry, type);
    }
}
