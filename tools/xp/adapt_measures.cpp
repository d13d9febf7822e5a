#include "adapt_measures.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "engine_door.h"

namespace xp::program {
namespace {

namespace fs = std::filesystem;

/// A project of its own, which goes with the object: the recipe, the texts and what the run makes.
struct Scratch {
  fs::path folder = make_scratch(fs::temp_directory_path(), "xp-adapt-");
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
};

std::string model_reference(const fs::path& path) { return to_text(Value("hf:" + fs::absolute(path).string())); }

std::string recipe_text(const std::pair<fs::path, fs::path>& models, const std::string& likelihood) {
  std::string with = "[{ type = \"fertility\", data = \"text:train\" }";
  if (!likelihood.empty()) with += ", { type = \"" + likelihood + "\", data = \"text:train\" }";
  with += "]";
  std::string out =
      "recipe = 1\nname = \"adapt\"\n\n[dataset.text]\ntype = \"text\"\nfiles = [\"texts/*\"]\n"
      "language = \"und\"\nsplit = { dev = 0.0, test = 0.0 }\n";
  for (const auto& [name, folder] : {std::pair("before", models.first), std::pair("after", models.second)})
    out += std::string("\n[stage.") + name + "]\ntype = \"evaluate\"\nmodel = " + model_reference(folder) +
           "\nwith = " + with + "\n";
  return out;
}

MetricPath path_of(const std::string& text) {
  Problems problems;
  const auto path = parse_metric_path(text, {}, problems);
  problems.raise();
  return *path;
}

/// The evaluator of bits per byte that fits a model with these capabilities; empty: none does.
std::string likelihood_of(const std::vector<std::string>& capabilities) {
  const auto has = [&](const char* name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  if (!has("logits") || has("memory")) return "";
  return has("bidirectional") ? "pseudo_likelihood" : "bits_per_byte";
}

}  // namespace

std::vector<Measure> measure(const Program& program, const Catalogue& catalogue,
                             const std::pair<fs::path, fs::path>& models, const std::vector<std::string>& texts,
                             const std::vector<std::string>& capabilities) {
  const Scratch scratch;
  fs::create_directories(scratch.folder / "texts");
  for (std::size_t i = 0; i < texts.size(); ++i)
    write_file(scratch.folder / "texts" / (std::to_string(i) + ".txt"), read_text_file(texts[i]));
  write_file(scratch.folder / "xp.toml", "");
  const auto likelihood = likelihood_of(capabilities);
  RecipeOptions recipe;
  recipe.recipe = (scratch.folder / "adapt.toml").string(), recipe.resolve.root = scratch.folder;
  write_file(recipe.recipe, recipe_text(models, likelihood));
  const auto plan = recipe.plan(program, catalogue, true);
  RunOptions options;
  options.results = scratch.folder / "results", options.command = program.command, options.quiet = true;
  const auto summary = run_plan(plan, catalogue, options);
  const Cache cache(scratch.folder / "results");
  const auto result = read_result(summary.file, &cache);
  const auto* member = result->member(plan.members.front().arm, plan.members.front().seed);
  std::vector<Measure> out;
  const auto add = [&](const std::string& key, const std::string& name, const std::string& metric, double scale,
                       const std::string& unit) {
    Measure one{key, name, unit};
    for (auto [stage, number] : {std::pair("before", &one.before), std::pair("after", &one.after)}) {
      const auto value = evaluate(path_of(std::string(stage) + "." + metric), *member);
      if (!value) return;
      *number = value->value * scale;
    }
    out.push_back(std::move(one));
  };
  add("tokens_per_word", "fertility", "fertility.tokens_per_word", 1, "tokens/word");
  add("tokens_per_byte", "tokens per byte", "fertility.tokens_per_byte", 1, "tokens/byte");
  add("covered", "words of one token", "fertility.whole", 100, "%");
  add("unknown", "unknown tokens", "fertility.unknown", 100, "%");
  if (!likelihood.empty()) add("bits_per_byte", "bits per byte", likelihood + ".bits", 1, "bits/byte");
  return out;
}

}  // namespace xp::program
