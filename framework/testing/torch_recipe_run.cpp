#include "testing/torch_recipe_run.h"

#include "base/file.h"
#include "base/text.h"
#include "engine/artifacts.h"
#include "engine/engine.h"
#include "kit/tokenizer_files.h"

namespace xp::testing {

void RecipeRun::put(const std::string& name, const std::string& text) {
  const auto file = folder_ / name;
  std::filesystem::create_directories(file.parent_path());
  write_file(file, text);
}

void RecipeRun::run(const std::string& recipe) {
  put("recipe.toml", recipe);
  Problems problems;
  auto plan = resolve(folder_ / "recipe.toml", catalogue(), {.root = folder_.path()}, problems);
  problems.raise("nothing was started");
  plan_ = std::move(*plan);
  RunOptions options;
  options.results = folder_ / "results", options.quiet = true, options.command = {"test"};
  const auto summary = xp::run(plan_, catalogue(), options);
  executed = summary.executed, cached = summary.cached;
}

const PlanNode& RecipeRun::node(const std::string& stage) const {
  for (const auto& one : plan_.nodes)
    if (one.name == stage) return one;
  throw Error("the plan has no stage " + backquoted(stage));
}

std::filesystem::path RecipeRun::output(const std::string& stage, const std::string& name) const {
  const auto& made = node(stage);
  const auto entry = Cache(folder_ / "results").find(made.digest, true);
  if (!entry) throw Error("the cache has no output of stage " + backquoted(stage));
  return entry->folder / (name.empty() ? made.outputs.at(0).name : name);
}

Checkpoint RecipeRun::checkpoint(const std::string& stage) const { return load_checkpoint(output(stage)); }
State RecipeRun::state(const std::string& stage, const std::string& name) const {
  return load_state(output(stage, name));
}
std::shared_ptr<const Encoder> RecipeRun::tokenizer(const std::string& stage) const {
  return load_tokenizer(output(stage), registry());
}

StageRecord RecipeRun::record(const std::string& stage) const {
  const Cache cache(folder_ / "results");
  const auto entry = cache.find(node(stage).digest);
  if (!entry) throw Error("the cache has no record of stage " + backquoted(stage));
  return cache.record(*entry);
}

std::string planted_text(int documents, std::uint64_t seed, int words) {
  const std::vector<std::string> sea{"ship", "wave", "sail", "harbour"}, farm{"cow", "field", "plough", "barn"};
  RandomStream stream(seed);
  std::string out;
  for (int i = 0; i < documents; ++i) {
    for (int w = 0; w < words; ++w)
      out += (w ? " " : "") + (i % 2 ? sea : farm)[static_cast<std::size_t>(stream.below(4))];
    out += "\n\n";
  }
  return out;
}

}  // namespace xp::testing
