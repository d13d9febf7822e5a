#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <set>

#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

const fs::path kRecipe = fs::path(XP_SOURCE_DIR) / "tests" / "recipe" / "design" / "quickstart.toml";

Plan quickstart(const ResolveOptions& options = {}, const Catalogue& catalogue = small_catalogue()) {
  Problems problems;
  auto plan = resolve(kRecipe, catalogue, options, problems);
  INFO(problems.text());
  REQUIRE(problems.errors() == 0);
  REQUIRE(plan);
  return std::move(*plan);
}

const PlanNode& node_of(const Plan& plan, const std::string& arm, const std::string& name, std::int64_t seed = 0) {
  for (const auto& member : plan.members)
    if (member.arm == arm && member.seed == seed) return plan.nodes.at(member.nodes.at(name));
  throw Error("no such member");
}

std::set<std::string> digests(const Plan& plan) {
  std::set<std::string> out;
  for (const auto& one : plan.nodes) out.insert(one.digest);
  return out;
}

TEST_CASE("the quickstart resolves to six arms and four seeds that share what is equal") {
  const auto plan = quickstart();
  CHECK(plan.name == "quickstart");
  REQUIRE(plan.members.size() == 24);
  CHECK(plan.members.front().arm == "ofa");
  CHECK(plan.members.front().label == "OFA, rank 64");
  CHECK(plan.members.back().arm == "shuffled");
  std::map<std::string, int> made;
  for (const auto& one : plan.nodes) ++made[one.name];
  // The model, its optimizer and the data are the same for all; tokenizers and vectors are drawn anew for each seed.
  CHECK(made["source_tokenizer"] == 4);
  CHECK(made["pretrain"] == 4);
  CHECK(made["word_vectors"] == 4);
  CHECK(made["transfer"] == 24);
  CHECK(made["adapt"] == 24);
  CHECK(made["score"] == 24);
  CHECK(node_of(plan, "ofa", "pretrain", 3).seed == 0);
  CHECK(node_of(plan, "ofa", "adapt", 3).seed == 3);
  for (const auto& one : plan.nodes)
    for (const auto input : one.inputs) CHECK(plan.nodes[input].digest != one.digest);
}

TEST_CASE("settings are whole: defaults, parts with their type, references in place of names") {
  const auto plan = quickstart();
  const auto& pretrain = node_of(plan, "ofa", "pretrain").settings;
  CHECK(*find(pretrain, "model.type") == Value("transformer"));
  CHECK(*find(pretrain, "model.width") == Value(128));
  CHECK(*find(pretrain, "model.dropout") == Value(0.0));
  CHECK(*find(pretrain, "optimizer.lr") == Value(1e-3));  // the only optimizer of the recipe
  CHECK(*find(pretrain, "schedule.type") == Value("warmup_linear"));
  CHECK(*find(pretrain, "stop") == Value("1000000 tokens"));
  CHECK(*find(pretrain, "batch.tokens") == Value(0));
  const auto* tokenizer = find(pretrain, "tokenizer")->as<Reference>();
  REQUIRE(tokenizer);
  CHECK(tokenizer->kind == "tokenizer");
  CHECK(tokenizer->node == "source_tokenizer");
  CHECK(tokenizer->digest == node_of(plan, "ofa", "source_tokenizer").digest);
  const auto* data = find(pretrain, "data")->as<Reference>();
  REQUIRE(data);
  CHECK(data->split == "train");
  REQUIRE(data->component);
  CHECK(*find(*data->component, "split.dev") == Value(0.05));
  CHECK(*find(*data->component, "files[0].name") == Value("en.txt.zst"));
  const auto& score = node_of(plan, "ofa", "score").settings;
  CHECK(*find(score, "with[0].as") == Value("bits_per_byte"));
  CHECK(*find(score, "with[0].type") == Value("pseudo_likelihood"));
  CHECK(find(score, "with[1].data")->as<Reference>()->split == "test");
  CHECK(*find(node_of(plan, "shuffled", "transfer").settings, "initializer.shuffle_vectors") == Value(true));
  CHECK(*find(node_of(plan, "shuffled", "transfer").settings, "initializer.rank") == Value(64));
  CHECK_FALSE(find(node_of(plan, "random", "transfer").settings, "initializer.rank"));
}

TEST_CASE("equal recipes give equal text and digests") {
  const auto once = quickstart(), again = quickstart();
  CHECK(to_text(once) == to_text(again));
  CHECK(once.plan_id == again.plan_id);
  CHECK(digests(once) == digests(again));
}

TEST_CASE("only what depends on a change has another digest") {
  const auto before = quickstart();
  ResolveOptions options;
  options.set = {"arm.hull.stage.transfer.initializer.sparsity = \"softmax\""};
  const auto after = quickstart(options);
  for (const auto& member : before.members)
    for (const auto& [name, index] : member.nodes) {
      const bool hit = member.arm == "hull" && (name == "transfer" || name == "adapt" || name == "score");
      CHECK((node_of(after, member.arm, name, member.seed).digest != before.nodes[index].digest) == hit);
    }
  CHECK(before.plan_id != after.plan_id);
}

TEST_CASE("a plugin's new library changes the digests that it is part of, and no plan id") {
  const auto before = quickstart();
  const auto after = quickstart({}, with_hash(small_catalogue(), "vocab_initializer", "ofa", "another hash"));
  CHECK(before.plan_id == after.plan_id);
  for (const auto& member : before.members)
    for (const auto& [name, index] : member.nodes) {
      const bool hit = (member.arm == "ofa" || member.arm == "shuffled") &&
                       (name == "transfer" || name == "adapt" || name == "score");
      CHECK((node_of(after, member.arm, name, member.seed).digest != before.nodes[index].digest) == hit);
    }
}

TEST_CASE("settings that change no result change no digest") {
  ResolveOptions options;
  options.set = {"stage.pretrain.log_every=100", "stage.source_tokenizer.method.threads=2"};
  CHECK(digests(quickstart()) == digests(quickstart(options)));
}

TEST_CASE("smoke lays its table over every arm") {
  ResolveOptions options;
  options.smoke = true;
  const auto plan = quickstart(options);
  CHECK(plan.members.size() == 6);
  CHECK(*find(node_of(plan, "mean", "pretrain").settings, "stop") == Value("20000 tokens"));
  CHECK(*find(node_of(plan, "mean", "adapt").settings, "evaluate.every") == Value("10000 tokens"));
}

TEST_CASE("overrides reach every arm, seeds and arms can be chosen") {
  ResolveOptions options;
  options.set = {"stage.adapt.stop=300k tokens", "seeds=2"};
  options.unset = {"stage.adapt.evaluate"};
  options.arms = {"ofa", "random"};
  Problems problems;
  // Without evaluation the claim, a table and the figure lose their numbers.
  CHECK_FALSE(resolve(kRecipe, small_catalogue(), options, problems));
  CHECK(problems.errors() > 0);
  options.unset.clear();
  const auto plan = quickstart(options);
  CHECK(plan.members.size() == 4);
  CHECK(*find(node_of(plan, "random", "adapt").settings, "stop") == Value("300000 tokens"));
  options.seeds = {7};
  CHECK(quickstart(options).members.front().seed == 7);
}

}  // namespace
}  // namespace xp
