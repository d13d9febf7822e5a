#pragma once
// A small project in a scratch folder, and what tests look up in its plans.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "../scratch.h"
#include "base/file.h"
#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {

/// A project of a test's own: recipes are written, one is resolved.
class Project {
 public:
  Project() {
    put("xp.toml", "");
    put("data/en.txt", "One.\n\nTwo.\n");
    put("data/de.txt", "Eins.\n\nZwei.\n");
    put("base.toml", R"(
[dataset.english]
type  = "text"
files = ["data/en.txt"]
[model.encoder]
type = "transformer"
[optimizer.adamw]
type = "adamw"
lr   = 0.01
[objective.masked]
type      = "mlm"
mask_rate = 0.2
[stage.tokens]
type   = "train_tokenizer"
method = { type = "wordpiece", vocab_size = 100 }
corpus = "english"
[stage.pretrain]
type      = "train"
model     = "encoder"
tokenizer = "tokens"
data      = "english"
objective = "masked"
stop      = "1k tokens"
)");
  }

  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((scratch_ / name).parent_path());
    write_file(scratch_ / name, text);
  }

  Plan plan(const std::string& text, ResolveOptions options = {}) {
    put("r.toml", "recipe = 1\nextends = \"base.toml\"\n" + text);
    Problems problems;
    options.root = scratch_.path();
    auto out = resolve(scratch_ / "r.toml", small_catalogue(), options, problems);
    INFO(problems.text());
    REQUIRE(out);
    return std::move(*out);
  }

  std::vector<std::string> codes(const std::string& text, ResolveOptions options = {}) {
    put("r.toml", "recipe = 1\nextends = \"base.toml\"\n" + text);
    Problems problems;
    options.root = scratch_.path();
    resolve(scratch_ / "r.toml", small_catalogue(), options, problems);
    std::vector<std::string> out;
    for (const auto& one : problems.list()) out.push_back(one.code);
    return out;
  }

  const std::filesystem::path& root() const { return scratch_.path(); }

 private:
  Scratch scratch_;
};

/// A node of one member.
inline const PlanNode& node(const Plan& plan, const std::string& name, const std::string& arm = "main",
                            std::int64_t seed = 0) {
  for (const auto& member : plan.members)
    if (member.arm == arm && member.seed == seed) return plan.nodes.at(member.nodes.at(name));
  throw Error("there is no " + arm);
}

/// One setting of a node, or "nothing".
inline Value setting(const Plan& plan, const std::string& name, const std::string& path,
                     const std::string& arm = "main") {
  const auto* value = find(node(plan, name, arm).settings, path);
  return value ? *value : Value("nothing");
}

/// A stage that measures what `pretrain` of base.toml makes.
inline constexpr const char* kScore =
    "[stage.score]\ntype = \"evaluate\"\nmodel = \"pretrain\"\nwith = [{ type = \"pseudo_likelihood\", data = "
    "\"english:test\" }]\n";

}  // namespace xp
