#include "program.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/digest.h"
#include "base/text.h"
#include "plugin/loader.h"

namespace xp::program {

std::filesystem::path Program::self() const { return std::filesystem::read_symlink("/proc/self/exe"); }

Catalogue Program::catalogue(const std::vector<std::string>& more) const {
  auto first = plugin_path;
  first.insert(first.end(), more.begin(), more.end());
  return read_catalogue(xp::plugin_path(first), self().parent_path() / "xp-describe");
}

std::filesystem::path Program::results_folder() const {
  if (!results.empty()) return results;
  if (const char* set = std::getenv("XP_RESULTS"); set && *set) return set;
  return project_root(std::filesystem::current_path()) / "results";
}

void RecipeOptions::add_to(CLI::App& app) {
  app.add_option("recipe", recipe, "The recipe (TOML).")->required();
  app.add_option("--set", resolve.set, "KEY=VALUE laid over the recipe; may be repeated.")->allow_extra_args(false);
  app.add_option("--unset", resolve.unset, "Key to take out of the recipe; may be repeated.")->allow_extra_args(false);
  app.add_option("--arm", resolve.arms, "Only this arm; may be repeated.")->allow_extra_args(false);
  app.add_option("--seed", resolve.seeds, "Only this seed; may be repeated.")->allow_extra_args(false);
  app.add_flag("--smoke", resolve.smoke, "Lay the recipe's [smoke] over it: the same path in seconds, no claim.");
  app.add_flag("--trust-plugins", resolve.trust_plugins, "Let the recipe name plugin folders: their code will run.");
}

Catalogue RecipeOptions::catalogue(const Program& program) const {
  Problems ignored;  // plan() reads the recipe again and reports
  std::vector<std::string> folders;
  for (const auto& folder : plugin_folders(recipe, resolve, ignored)) folders.push_back(folder.string());
  return program.catalogue(folders);
}

Plan RecipeOptions::plan(const Program& program, const Catalogue& catalogue) const {
  auto options = resolve;
  const auto engine = program.self().parent_path().parent_path() / "lib" / "libxp_engine.so";
  options.engine_hash = sha256_file_cached(engine);
  Problems problems;
  auto plan = xp::resolve(recipe, catalogue, options, problems);
  problems.raise();
  if (!problems.empty() && !program.quiet) std::fputs(problems.text().c_str(), stderr);
  if (!plan) throw Error("the recipe " + backquoted(recipe) + " could not be resolved", Exit::usage);
  return std::move(*plan);
}

std::vector<std::unique_ptr<Result>> open_results(const Program& program, const std::vector<std::string>& names) {
  const auto folder = program.results_folder();
  const Cache cache(folder);
  std::vector<std::unique_ptr<Result>> out;
  std::vector<std::string> wanted = names;
  if (wanted.empty()) {
    const auto all = find_results(folder);
    if (all.empty()) throw Error("no results in " + folder.string() + "; `xp run RECIPE` makes some", Exit::data);
    wanted.push_back(all.front().string());
  }
  for (const auto& name : wanted) {
    std::error_code none;
    if (std::filesystem::is_regular_file(name, none)) {
      out.push_back(read_result(name, &cache));
      continue;
    }
    const auto of_recipe = find_results(folder, name);
    if (of_recipe.empty()) {
      std::vector<std::string> known;
      for (const auto& file : find_results(folder)) known.push_back(file.parent_path().filename().string());
      std::sort(known.begin(), known.end());
      known.erase(std::unique(known.begin(), known.end()), known.end());
      throw Error("no result file and no recipe with results is called " + backquoted(name) + "; there is " + listed(known), Exit::data);
    }
    out.push_back(read_result(of_recipe.front(), &cache));
  }
  return out;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw Error("cannot write to the standard output");
}

}  // namespace xp::program
