#include "testing/conformance_vocab_initializer.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "api/vocab_initializer.h"
#include "plugin/loader.h"
#include "testing/conformance_component.h"
#include "testing/toy_encoder.h"

namespace xp::testing {
namespace {

const std::vector<std::string> kSource = {"sun", "##flower", "flower", "a", "##s", "moon", "light", "##light"};
const std::vector<std::string> kTarget = {"sunflower", "moonlight", "flowers", "zzz", "sun", "##light"};

std::vector<TokenId> reversed(std::size_t n) {
  std::vector<TokenId> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<TokenId>(n - 1 - i);
  return order;
}

/// Words of both vocabularies, often enough for whoever leaves rare ones out.
State toy_translations() {
  State out;
  out.set("source", Strings{"sun", "flowers", "light", "moon"});
  out.set("target", Strings{"sunflower", "flowers", "moonlight", "zzz"});
  out.set("counts", Ints{{40, 30, 20, 10}, {4}});
  return out;
}

/// One initializer and what it may look at.
struct Scene {
  std::function<std::unique_ptr<VocabInitializer>()> make;
  WeightsFor weights;
  State translations = toy_translations();

  MixPlan plan(const ToyEncoder& source, const ToyEncoder& target,
               const std::vector<TokenId>& set_before = {}) const {
    MixPlan plan(source.size(), target.size());
    for (const auto row : set_before) plan.set_row(row, {{0, 1.0}}, "before");
    const auto* tables = weights ? weights(source) : nullptr;
    make()->plan({.source = source,
                  .target = target,
                  .weights = tables,
                  .random = RandomStreams(5),
                  .translations = &translations},
                 plan);
    return plan;
  }
};

/// The row of a token as text, with sources by their text: comparable between vocabularies in another order.
std::string row_text(const MixPlan& plan, const ToyEncoder& source, TokenId row) {
  const auto& one = plan.rows()[static_cast<std::size_t>(row)];
  std::vector<std::string> parts;
  for (const auto& part : one.parts) parts.push_back(source.text(part.source) + "*" + std::to_string(part.weight));
  for (const auto& [role, own] : one.role_parts)
    for (const auto& part : own)
      parts.push_back(role + " " + source.text(part.source) + "*" + std::to_string(part.weight));
  for (const auto& [role, numbers] : one.dense) parts.push_back(role + " with " + std::to_string(numbers.size()));
  if (one.uniform != 0) parts.push_back("uniform" + std::to_string(one.uniform));
  std::sort(parts.begin(), parts.end());
  std::string out = one.set ? one.rule + ":" : "open";
  for (const auto& part : parts) out += " " + part;
  return out;
}

void check_rows(const MixPlan& plan, const ToyEncoder& source) {
  for (const auto& row : plan.rows()) {
    if (!row.set) continue;
    CHECK_FALSE(row.rule.empty());
    CHECK_FALSE((row.parts.empty() && row.dense.empty() && row.uniform == 0));
    for (const auto& part : row.parts) {
      CHECK(part.source >= 0);
      CHECK(part.source < source.size());
      CHECK(std::isfinite(part.weight));
    }
  }
}

}  // namespace

void check_vocab_initializer(const Registry& registry, const std::string& type, const WeightsFor& weights) {
  check_component(registry, VocabInitializer::kInterface, type);
  const auto& info = *registry.catalogue().find(VocabInitializer::kInterface, type);
  const auto settings = default_settings(info);
  if (settings.empty()) return;  // its own test knows what it requires
  if (!weights && look_at(info.library).tensors) return;
  const Scene scene{[&] { return registry.make<VocabInitializer>(settings); }, weights};
  if (scene.make()->wants_vectors()) return;
  const auto& needs = info.schema.needs;  // word vectors, a corpus: what its own test has
  if (std::any_of(needs.begin(), needs.end(),
                  [&](const Trait& need) { return need.what == "artifact" && holds(need.when, settings); }))
    return;
  INFO("vocab_initializer " << type);

  const ToyEncoder source(kSource), target(kTarget);
  const auto first = scene.plan(source, target);
  check_rows(first, source);
  const auto again = scene.plan(source, target);
  const ToyEncoder source_turned(kSource, reversed(kSource.size() + 5)),
      target_turned(kTarget, reversed(kTarget.size() + 5));
  const auto turned = scene.plan(source_turned, target);
  const auto both = scene.plan(source_turned, target_turned);
  for (TokenId row = 0; row < target.size(); ++row) {
    INFO("row of " << target.text(row));
    const auto text = row_text(first, source, row);
    CHECK(row_text(again, source, row) == text);
    CHECK(row_text(turned, source_turned, row) == text);
    CHECK(row_text(both, source_turned, target_turned.id(target.text(row))) == text);
  }
  const auto kept = scene.plan(source, target, {0, target.id("sun")});
  CHECK(kept.rows()[0].rule == "before");
  CHECK(kept.rows()[static_cast<std::size_t>(target.id("sun"))].rule == "before");
}

}  // namespace xp::testing
